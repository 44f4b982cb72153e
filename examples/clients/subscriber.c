/* Prints each state as JSON with libzmq: `subscriber STATES-ENDPOINT SESSION [KEYS]`.
   Build: cc -o subscriber subscriber.c -lzmq */
#include "curve_keys.h"

int main(int argc, char **argv) {
    char topic[128];
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: subscriber STATES-ENDPOINT SESSION [KEYS]\n");
        return 2;
    }
    snprintf(topic, sizeof topic, "state/%s", argv[2]);
    void *context = zmq_ctx_new();
    void *subscriber = zmq_socket(context, ZMQ_SUB);
    zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, topic, strlen(topic));
    zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, "status", 6);
    if (argc == 4 && use_keys(subscriber, argv[3]) != 0)
        return 1;
    if (zmq_connect(subscriber, argv[1]) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
        return 1;
    }
    for (;;) { /* three frames: topic, type, payload */
        int ours = 0, status = 0, more = 1;
        for (int part = 0; more; part++) {
            zmq_msg_t frame;
            zmq_msg_init(&frame);
            if (zmq_msg_recv(&frame, subscriber, 0) < 0) {
                fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
                return 1;
            }
            const char *data = zmq_msg_data(&frame);
            size_t size = zmq_msg_size(&frame);
            if (part == 0) { /* a subscription takes every topic that begins so */
                ours = size == strlen(topic) && memcmp(data, topic, size) == 0;
                status = size == 6 && memcmp(data, "status", 6) == 0;
            } else if (part == 2 && ours) {
                fwrite(data, 1, size, stdout);
                putchar('\n');
                fflush(stdout);
            }
            more = zmq_msg_more(&frame);
            zmq_msg_close(&frame);
        }
        if (status)
            fprintf(stderr, "subscribed\n"); /* the first one comes when the subscription stands */
    }
}
