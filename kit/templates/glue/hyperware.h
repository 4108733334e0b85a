/*
 * hyperware:process/standard@1.0.0 for C, as the canonical ABI lays it out on wasm32. A guest includes this and defines
 * `void process_main(hw_string our)`; kit compiles hyperware.c beside it, which provides `init` and `cabi_realloc`.
 *
 * What the host passes lives in an arena that the next hw_receive() empties; copy what must live longer.
 */
#ifndef HYPERWARE_H
#define HYPERWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HW_HOST(name) \
  __attribute__((import_module("hyperware:process/standard@1.0.0"), import_name(name)))

/* UTF-8 text, or any bytes. Not terminated. */
typedef struct { const uint8_t *ptr; size_t len; } hw_string;
typedef hw_string hw_bytes;

typedef struct { hw_string process, package, publisher; } hw_process_id;
typedef struct { hw_string node; hw_process_id process; } hw_address;

typedef struct { bool some; hw_string value; } hw_option_string;
typedef hw_option_string hw_option_bytes;
typedef struct { bool some; uint64_t value; } hw_option_u64;

typedef struct { hw_option_string mime; hw_bytes bytes; } hw_blob;
typedef struct { bool some; hw_blob value; } hw_option_blob;

typedef struct { hw_address issuer; hw_string params; } hw_capability;
typedef struct { hw_capability *ptr; size_t len; } hw_capabilities;

typedef struct {
  bool inherit;
  hw_option_u64 expects_response;
  hw_bytes body;
  hw_option_string metadata;
  hw_capabilities capabilities;
} hw_request;

typedef struct {
  bool inherit;
  hw_bytes body;
  hw_option_string metadata;
  hw_capabilities capabilities;
} hw_response;

enum { HW_REQUEST = 0, HW_RESPONSE = 1 };
typedef struct {
  uint8_t kind;
  union {
    /* The payload starts on 8 bytes whichever variant it is. */
    uint64_t align;
    hw_request request;
    struct { hw_response response; hw_option_bytes context; } response;
  };
} hw_message;

enum { HW_OFFLINE = 0, HW_TIMEOUT = 1 };
typedef struct {
  uint8_t kind;
  hw_address target;
  hw_message message;
  hw_option_blob blob;
} hw_send_error;

typedef struct {
  bool is_error;
  union {
    uint64_t align;
    struct { hw_address source; hw_message message; } ok;
    struct { hw_send_error error; hw_option_bytes context; } err;
  };
} hw_delivery;

typedef struct {
  bool is_error;
  union {
    uint64_t align;
    struct { hw_address source; hw_message message; } ok;
    hw_send_error err;
  };
} hw_awaited;

typedef struct {
  hw_address target;
  hw_request request;
  hw_option_bytes context;
  hw_option_blob blob;
} hw_outgoing;

typedef struct { hw_address target; hw_request request; hw_option_blob blob; } hw_exit_request;
enum { HW_EXIT_NONE = 0, HW_EXIT_RESTART = 1, HW_EXIT_REQUESTS = 2 };
typedef struct { uint8_t kind; struct { hw_exit_request *ptr; size_t len; } requests; } hw_on_exit;

typedef struct { hw_process_id process; hw_string params; } hw_grant;
enum { HW_NAME_TAKEN = 0, HW_NO_FILE_AT_PATH = 1 };
typedef struct { bool is_error; union { hw_process_id ok; uint8_t err; }; } hw_spawned;

/* Sizes that the contract fixes; a compiler that lays a struct out differently must not go on. */
_Static_assert(sizeof(hw_address) == 32, "address");
_Static_assert(sizeof(hw_request) == 56, "request");
_Static_assert(sizeof(hw_response) == 32, "response");
_Static_assert(sizeof(hw_message) == 64, "message");
_Static_assert(sizeof(hw_send_error) == 128, "send-error");
_Static_assert(sizeof(hw_delivery) == 152, "receive");
_Static_assert(sizeof(hw_awaited) == 136, "send-and-await-response");
_Static_assert(sizeof(hw_outgoing) == 128, "send-request");
_Static_assert(sizeof(hw_exit_request) == 112, "on-exit");
_Static_assert(sizeof(hw_spawned) == 28, "spawn");

/* ---- the guest's own part */

void process_main(hw_string our);

/* ---- the 19 host functions */

void hw_print(uint8_t verbosity, hw_string text);
hw_address hw_our(void);
hw_on_exit hw_get_on_exit(void);
void hw_set_on_exit(hw_on_exit on_exit);
hw_option_bytes hw_get_state(void);
void hw_set_state(hw_bytes bytes);
void hw_clear_state(void);
hw_spawned hw_spawn(hw_option_string name, hw_string wasm_path, hw_on_exit on_exit,
                    hw_capabilities request, const hw_grant *grants, size_t grants_len, bool is_public);
void hw_save_capabilities(hw_capabilities caps);
void hw_drop_capabilities(hw_capabilities caps);
hw_capabilities hw_our_capabilities(void);
/* Waits for the next item. Frees what earlier calls returned. */
const hw_delivery *hw_receive(void);
bool hw_has_blob(void);
hw_option_blob hw_get_blob(void);
hw_option_blob hw_last_blob(void);
void hw_send_request(const hw_outgoing *request);
void hw_send_requests(const hw_outgoing *requests, size_t len);
void hw_send_response(const hw_response *response, const hw_option_blob *blob);
/* Waits for the response; valid until the next hw_receive() or hw_send_and_await(). */
const hw_awaited *hw_send_and_await(hw_address target, const hw_request *request,
                                    const hw_option_blob *blob);

/* ---- conveniences */

/* Text of a C string; the string must outlive it. */
hw_string hw_text(const char *text);
/* Answers the current request with a body alone. */
void hw_respond(hw_bytes body);

#endif
