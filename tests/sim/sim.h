/*
 * sim.h: the parts of the running simulator, lent by main() to every handler
 * and thread. main() owns them; they outlive the server.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "record.h"
#include "sender.h"
#include "state.h"
#include "verify.h"

struct sim {
    struct state *state;
    struct recorder recorder;
    struct verifier *verifier;
    struct sender *sender;
    const char *content_dir; /* relative files are looked up here; or NULL */
};

#endif
