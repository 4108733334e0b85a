/* The canonical ABI of hyperware:process/standard@1.0.0 for C; see hyperware.h. */
#include "hyperware.h"

/* No libc: a guest that wants none links none. */
static void copy(uint8_t *to, const uint8_t *from, size_t len) {
  __builtin_memcpy(to, from, len);
}

/* ---- arena for what the host passes */

#define PAGE 65536u
static uintptr_t arena_next;
static uintptr_t arena_start;

/* The arena is at the end of memory: it begins at the page after what malloc (if the guest uses it) has taken by then. */
static void arena_reset(void) {
  arena_next = arena_start;
}

__attribute__((used)) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  static uintptr_t arena_end;
  uintptr_t at = (arena_next + align - 1) & ~(uintptr_t)(align - 1);
  if (arena_start == 0 || at + size > arena_end || at + size < at) {
    size_t pages = (size + align + PAGE - 1) / PAGE + 1;
    size_t before = __builtin_wasm_memory_grow(0, pages);
    if (before == (size_t)-1) __builtin_trap();
    uintptr_t start = (uintptr_t)before * PAGE;
    /* Grown right behind the arena: the same arena, larger. Otherwise a new one; what is in the old one stays where it is. */
    if (start != arena_end || arena_start == 0) {
      arena_start = start;
      arena_next = start;
    }
    arena_end = start + pages * PAGE;
    at = (arena_next + align - 1) & ~(uintptr_t)(align - 1);
  }
  arena_next = at + size;
  if (old_size > 0) copy((uint8_t *)at, old, old_size < size ? old_size : size);
  return (void *)at;
}

/* ---- imports, flattened */

HW_HOST("print-to-terminal") extern void host_print(int32_t, const uint8_t *, size_t);
HW_HOST("our") extern void host_our(hw_address *);
HW_HOST("get-on-exit") extern void host_get_on_exit(hw_on_exit *);
HW_HOST("set-on-exit") extern void host_set_on_exit(int32_t, hw_exit_request *, size_t);
HW_HOST("get-state") extern void host_get_state(hw_option_bytes *);
HW_HOST("set-state") extern void host_set_state(const uint8_t *, size_t);
HW_HOST("clear-state") extern void host_clear_state(void);
HW_HOST("spawn") extern void host_spawn(int32_t, const uint8_t *, size_t, const uint8_t *, size_t, int32_t,
                                        hw_exit_request *, size_t, hw_capability *, size_t,
                                        const hw_grant *, size_t, int32_t, hw_spawned *);
HW_HOST("save-capabilities") extern void host_save_capabilities(hw_capability *, size_t);
HW_HOST("drop-capabilities") extern void host_drop_capabilities(hw_capability *, size_t);
HW_HOST("our-capabilities") extern void host_our_capabilities(hw_capabilities *);
HW_HOST("receive") extern void host_receive(hw_delivery *);
HW_HOST("has-blob") extern int32_t host_has_blob(void);
HW_HOST("get-blob") extern void host_get_blob(hw_option_blob *);
HW_HOST("last-blob") extern void host_last_blob(hw_option_blob *);
HW_HOST("send-request") extern void host_send_request(const hw_outgoing *);
HW_HOST("send-requests") extern void host_send_requests(const hw_outgoing *, size_t);
HW_HOST("send-response") extern void host_send_response(int32_t, const uint8_t *, size_t, int32_t,
                                                        const uint8_t *, size_t, hw_capability *, size_t,
                                                        int32_t, int32_t, const uint8_t *, size_t,
                                                        const uint8_t *, size_t);
typedef struct { hw_address target; hw_request request; hw_option_blob blob; } await_params;
HW_HOST("send-and-await-response") extern void host_send_and_await(const await_params *, hw_awaited *);

__attribute__((export_name("init"))) void init(const uint8_t *our, size_t len) {
  process_main((hw_string){our, len});
}

void hw_print(uint8_t verbosity, hw_string text) { host_print(verbosity, text.ptr, text.len); }
hw_address hw_our(void) { hw_address out; host_our(&out); return out; }
hw_on_exit hw_get_on_exit(void) { hw_on_exit out; host_get_on_exit(&out); return out; }
void hw_set_on_exit(hw_on_exit on_exit) {
  host_set_on_exit(on_exit.kind, on_exit.requests.ptr, on_exit.requests.len);
}
hw_option_bytes hw_get_state(void) { hw_option_bytes out; host_get_state(&out); return out; }
void hw_set_state(hw_bytes bytes) { host_set_state(bytes.ptr, bytes.len); }
void hw_clear_state(void) { host_clear_state(); }
hw_spawned hw_spawn(hw_option_string name, hw_string wasm_path, hw_on_exit on_exit,
                    hw_capabilities request, const hw_grant *grants, size_t grants_len, bool is_public) {
  hw_spawned out;
  host_spawn(name.some, name.value.ptr, name.value.len, wasm_path.ptr, wasm_path.len, on_exit.kind,
             on_exit.requests.ptr, on_exit.requests.len, request.ptr, request.len, grants, grants_len,
             is_public, &out);
  return out;
}
void hw_save_capabilities(hw_capabilities caps) { host_save_capabilities(caps.ptr, caps.len); }
void hw_drop_capabilities(hw_capabilities caps) { host_drop_capabilities(caps.ptr, caps.len); }
hw_capabilities hw_our_capabilities(void) {
  hw_capabilities out;
  host_our_capabilities(&out);
  return out;
}
const hw_delivery *hw_receive(void) {
  static hw_delivery delivery;
  arena_reset();
  host_receive(&delivery);
  return &delivery;
}
bool hw_has_blob(void) { return host_has_blob() != 0; }
hw_option_blob hw_get_blob(void) { hw_option_blob out; host_get_blob(&out); return out; }
hw_option_blob hw_last_blob(void) { hw_option_blob out; host_last_blob(&out); return out; }
void hw_send_request(const hw_outgoing *request) { host_send_request(request); }
void hw_send_requests(const hw_outgoing *requests, size_t len) { host_send_requests(requests, len); }
void hw_send_response(const hw_response *r, const hw_option_blob *blob) {
  hw_option_blob none = {0};
  const hw_option_blob *b = blob == NULL ? &none : blob;
  host_send_response(r->inherit, r->body.ptr, r->body.len, r->metadata.some, r->metadata.value.ptr,
                     r->metadata.value.len, r->capabilities.ptr, r->capabilities.len, b->some,
                     b->value.mime.some, b->value.mime.value.ptr, b->value.mime.value.len,
                     b->value.bytes.ptr, b->value.bytes.len);
}
const hw_awaited *hw_send_and_await(hw_address target, const hw_request *request,
                                    const hw_option_blob *blob) {
  static hw_awaited awaited;
  await_params params = {.target = target, .request = *request};
  if (blob != NULL) params.blob = *blob;
  host_send_and_await(&params, &awaited);
  return &awaited;
}

hw_string hw_text(const char *text) {
  size_t len = 0;
  while (text[len] != 0) len++;
  return (hw_string){(const uint8_t *)text, len};
}

void hw_respond(hw_bytes body) {
  hw_response response = {.body = body};
  hw_send_response(&response, NULL);
}
