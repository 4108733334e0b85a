# python3 extension.py ws://127.0.0.1:8080/gpu:my-package:me.os      (pip install websockets msgpack)
import sys, time
import msgpack
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed

def work(data: bytes) -> bytes:
    return data[::-1]  # yours

def serve(socket):
    for message in socket:
        data = msgpack.unpackb(message)["WebSocketExtPushData"]
        data["blob"] = work(bytes(data["blob"]))
        socket.send(msgpack.packb({"WebSocketExtPushData": data}))

while True:
    try:
        with connect(sys.argv[1], max_size=64 * 2**20) as socket:
            serve(socket)
    except (OSError, ConnectionClosed) as error:
        print(error, file=sys.stderr)
    time.sleep(1)  # the next channel is a new one, and what was asked on this one is void
