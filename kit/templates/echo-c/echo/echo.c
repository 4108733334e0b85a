/* Answers every request with its own body, and its own blob. */
#include "hyperware.h"

void process_main(hw_string our) {
  (void)our;
  for (;;) {
    const hw_delivery *delivery = hw_receive();
    if (delivery->is_error || delivery->ok.message.kind != HW_REQUEST) continue;
    const hw_request *request = &delivery->ok.message.request;
    if (!request->expects_response.some) continue;
    hw_response response = {.inherit = true, .body = request->body};
    hw_send_response(&response, NULL);
  }
}
