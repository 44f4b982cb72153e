/* The keys of a client, for endpoints of TCP that want some: the folder that `keys generate --client` made for it. */
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* Reads the 40 characters behind `name` in a file of that folder; 0 if they are there. */
static int read_key(const char *folder, const char *file, const char *name, char key[41]) {
    char path[4096], line[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *stream = fopen(path, "r");
    int found = 0;
    while (stream && !found && fgets(line, sizeof line, stream)) {
        char *at = line + strspn(line, " \t");
        size_t length = strlen(name);
        found = strncmp(at, name, length) == 0 && sscanf(at + length, " = \"%40[^\"]\"", key) == 1 &&
                strlen(key) == 40;
    }
    if (stream)
        fclose(stream);
    if (!found)
        fprintf(stderr, "%s: no %s in it\n", path, name);
    return found ? 0 : -1;
}

/* Shows our own key, and speaks only to the pipeline whose public key is in the folder; 0 if all went well. */
static int use_keys(void *socket, const char *folder) {
    char server[41], public[41], secret[41];
    if (read_key(folder, "server.key", "public-key", server) ||
        read_key(folder, "client.key_secret", "public-key", public) ||
        read_key(folder, "client.key_secret", "secret-key", secret))
        return -1;
    return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, 41) ||
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, 41) ||
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 41);
}
