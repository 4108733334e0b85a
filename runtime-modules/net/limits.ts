/** Every limit of net:distro:sys (networking.md §4, §7, §8, §9; findings F23, F24, F29). */
import { TAG_BYTES } from './noise.ts';

/** The longest thing with a 16-bit length, and so the longest Noise message. */
export const FRAME_BYTES_MAX = 65_535;
/** Plaintext of one sealed chunk. */
export const CHUNK_BYTES_MAX = FRAME_BYTES_MAX - TAG_BYTES;
/** A kernel message on the wire as the reference has it, after its bytes have become integers. */
export const MESSAGE_BYTES_MAX = 10_485_800;
/** A kernel message between two nodes that interleave chunks: a blob of 64 MiB and what goes with it. */
export const MUX_MESSAGE_BYTES_MAX = 64 * 1024 * 1024 + 1024 * 1024;
/** Messages one side may have begun and not finished, where chunks interleave. */
export const MUX_OPEN_MAX = 64;
/** Their announced bytes together; one message over it may be open alone. */
export const MUX_OPEN_BYTES_MAX = 80 * 1024 * 1024;
/** Bytes given to a socket that it has not passed on, from where no further chunk is sealed: what a small message waits for (F24). */
export const SOCKET_BYTES_MAX = 131_072;
/** Capabilities attached to one message of another node: the kernel checks a signature for each, and that takes time. */
export const CAPABILITIES_MAX = 256;
/** A handshake payload is a name, a signature and a few flags. */
export const HANDSHAKE_UNIT_BYTES_MAX = 4_096;

/** Fragments of one WebSocket message; the reference sends none, a proxy in between may. */
export const WS_FRAGMENTS_MAX = 64;
/** Reads of which an unfinished WebSocket frame may consist: one of the longest takes some 50, and byte by byte it would fill the memory. */
export const WS_READS_MAX = 4_096;

/** Connecting and the whole handshake, in ms; the same for whoever connects to us (N10). */
export const HANDSHAKE_MS_MAX = 5_000;
/** Connections that may be in their handshake; a further one is closed at once. */
export const HANDSHAKES_MAX = 256;
/** Of those, from one address. */
export const HANDSHAKES_PER_ADDRESS_MAX = 32;
/** How long a connection lasts, in ms, however busy it is (N33). */
export const CONNECTION_MS_MAX = 1_800_000;
/** How long a connection that is being closed may take to send what it has begun, in ms. */
export const CLOSING_MS_MAX = 5_000;
/** A message that has begun must end within this, in ms; a peer that stops half-way holds memory. */
export const MESSAGE_MS_MAX = 120_000;
/** Quiet time after which a WebSocket is pinged, in ms; TCP has its own probes. */
export const PING_MS = 30_000;
/** Between two attempts of an indirect node to connect to its routers, in ms (N26). */
export const ROUTER_RETRY_MS = 4_000;
/** When the next router is tried beside one that has not answered, in ms: three dead ones cost less than 10 s (F29). */
export const ROUTER_STAGGER_MS = 1_500;
/** No second attempt within this after a failed one, in ms; doubles up to the maximum. */
export const BACKOFF_MS_MIN = 250;
export const BACKOFF_MS_MAX = 2_000;
/** Quiet time of a connection before sending moves to the preferred one, in ms: what was sent is not to be overtaken (N34). */
export const SWITCH_MS = 1_000;

/** How long the event loop is kept from sleeping after a short message, in ms, where its answers come within that time. */
export const AWAKE_MS_MAX = 0.1;

/** Messages that wait for one peer before their senders do. */
export const OUTBOX_MESSAGES_MAX = 1_000;
/** Bytes of bodies and blobs of those messages: one of the longest, and room for others. */
export const OUTBOX_BYTES_MAX = 128 * 1024 * 1024;
/** The same between one pair of processes, so that one pair does not take all of it. One message over it may wait alone. */
export const LANE_BYTES_MAX = 16 * 1024 * 1024;
/** Messages of one pair of processes. */
export const LANE_MESSAGES_MAX = 500;
/** The same for all peers together. */
export const OUTBOXES_BYTES_MAX = 256 * 1024 * 1024;
/** Senders that wait for room with one peer; the message of a further one fails at once. */
export const WAITING_SENDERS_MAX = 1_000;
/** Bytes from one peer that wait for processes whose mailbox is full, before its connection is not read. */
export const INBOX_BYTES_MAX = 4 * 1024 * 1024;

/** `--max-peers`. */
export const PEERS_MAX_DEFAULT = 32;
/** `--max-passthroughs`: by default we are no router (N20). */
export const PASSTHROUGHS_MAX_DEFAULT = 0;
/** A relayed pair that has carried nothing for this long ends, in ms (§8). */
export const PASSTHROUGH_IDLE_MS_MAX = 7_200_000;
/** A connection that waits for the node it wants ends after this, in ms. */
export const PASSTHROUGH_WAITING_MS_MAX = 30_000;
/** Nodes that we are going to meet at our routers at a time; a router that asks for more is not heard. */
export const MEETINGS_MAX = 32;
/** Nodes whose key and address are known. */
export const PKI_NODES_MAX = 2_000_000;
/** Length of a node's name. */
export const NAME_CHARS_MAX = 255;

/** Hellos of one peer that are shown and answered in HELLO_WINDOW_MS. */
export const HELLOS_MAX = 10;
export const HELLO_WINDOW_MS = 10_000;
/** Characters of a hello that are shown. */
export const HELLO_CHARS_MAX = 1_024;
/** A request to net itself; a batch of a whole chain's names may come from the indexer. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** The same from another node, or to be decoded at all when it is no update. */
export const SMALL_BODY_BYTES_MAX = 64 * 1024;
