/* Publishes a short session so that nothing is lost: `confirmed REQUEST-ENDPOINT SESSION [KEYS]`.
   Build: cc -o confirmed confirmed.c -lzmq */
#include "curve_keys.h"

#define COUNT 3
#define PROBE_MS 2000 /* without an answer the oldest is sent again: what comes back tells what has come */

static const char *const FORMS[COUNT] = {
    "{\"type\": \"SessionStart\", \"session\": \"%s\", \"seq\": 1, \"t\": 0, \"surgery\": \"PCNL\"}",
    "{\"type\": \"Transcript\", \"session\": \"%s\", \"seq\": 2, \"t\": 4, \"speaker\": \"Surgeon\","
    " \"text\": \"Turn on the suction.\"}",
    "{\"type\": \"SessionEnd\", \"session\": \"%s\", \"seq\": 3, \"t\": 9}",
};
static char payloads[COUNT][512]; /* number n is payloads[n - 1]; all are kept until they are confirmed */

static int send_numbered(void *dealer, long number, int first) {
    char head[40];
    int length = snprintf(head, sizeof head, "Numbered %ld%s", number, first ? " first" : "");
    const char *payload = payloads[number - 1];
    if (zmq_send(dealer, head, (size_t)length, ZMQ_SNDMORE) < 0 || zmq_send(dealer, payload, strlen(payload), 0) < 0) {
        fprintf(stderr, "message %ld is not sent: %s\n", number, zmq_strerror(zmq_errno()));
        return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    long confirmed = 0, number = 0;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: confirmed REQUEST-ENDPOINT SESSION [KEYS]\n");
        return 2;
    }
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    if (argc == 4 && use_keys(dealer, argv[3]) != 0)
        return 1;
    if (zmq_connect(dealer, argv[1]) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
        return 1;
    }
    for (number = 1; number <= COUNT; number++) {
        int length = snprintf(payloads[number - 1], sizeof *payloads, FORMS[number - 1], argv[2]);
        if (length < 0 || (size_t)length >= sizeof *payloads || send_numbered(dealer, number, number == 1) != 0)
            return 1;
    }
    while (confirmed < COUNT) {
        char said[64];
        zmq_pollitem_t item = {dealer, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, PROBE_MS) == 0) {
            if (send_numbered(dealer, confirmed + 1, 0) != 0)
                return 1;
            continue;
        }
        int length = zmq_recv(dealer, said, sizeof said - 1, 0);
        if (length < 0 || (size_t)length >= sizeof said) {
            fprintf(stderr, "%s: no word of this pipeline\n", argv[1]);
            return 1;
        }
        said[length] = '\0';
        if (sscanf(said, "Confirmed %ld", &number) == 1 && number > confirmed && number <= COUNT) {
            confirmed = number;
        } else if (sscanf(said, "Resend %ld", &number) == 1) {
            /* from that number on; 0: a new process, which must be told which is the first */
            if (number - 1 > confirmed && number <= COUNT)
                confirmed = number - 1;
            for (long again = confirmed + 1; again <= COUNT; again++)
                if (send_numbered(dealer, again, number == 0 && again == confirmed + 1) != 0)
                    return 1;
        }
    }
    printf("confirmed\n");
    zmq_close(dealer);
    zmq_ctx_term(context);
    return 0;
}
