/* Publishes a short session with libzmq: `publisher INGRESS-ENDPOINT SESSION [KEYS]`.
   Build: cc -o publisher publisher.c -lzmq */
#include "curve_keys.h"

static const char *const FORMS[] = {
    "{\"type\": \"SessionStart\", \"session\": \"%s\", \"seq\": 1, \"t\": 0, \"surgery\": \"PCNL\"}",
    "{\"type\": \"Transcript\", \"session\": \"%s\", \"seq\": 2, \"t\": 4, \"speaker\": \"Surgeon\","
    " \"text\": \"Turn on the suction.\"}",
    "{\"type\": \"SessionEnd\", \"session\": \"%s\", \"seq\": 3, \"t\": 9}",
};

int main(int argc, char **argv) {
    char message[512];
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: publisher INGRESS-ENDPOINT SESSION [KEYS]\n");
        return 2;
    }
    void *context = zmq_ctx_new();
    void *publisher = zmq_socket(context, ZMQ_XPUB); /* a PUB that hears of subscriptions */
    if (argc == 4 && use_keys(publisher, argv[3]) != 0)
        return 1;
    if (zmq_connect(publisher, argv[1]) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
        return 1;
    }
    /* before the pipeline has subscribed, ZeroMQ would drop what is sent */
    if (zmq_recv(publisher, message, sizeof message, 0) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
        return 1;
    }
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        int length = snprintf(message, sizeof message, FORMS[i], argv[2]);
        if (length < 0 || (size_t)length >= sizeof message || zmq_send(publisher, message, (size_t)length, 0) < 0) {
            fprintf(stderr, "message %zu is not sent\n", i + 1);
            return 1;
        }
    }
    zmq_close(publisher);
    zmq_ctx_term(context); /* waits until all is sent */
    return 0;
}
