/**
 * Noise_XX_25519_ChaChaPoly_BLAKE2s with an empty prologue (networking.md §3; the Noise Protocol Framework, revision 34, §5 and §7.5): the
 * handshake of one connection, then a cipher for each direction. Primitives are Node's own, but for short frames (F25; `short-cipher.ts`). Nothing
 * here waits or knows a socket.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { SHORT_BYTES_MAX, ShortCipher } from './short-cipher.ts';

export const DH_BYTES = 32;
export const TAG_BYTES = 16;
/** Messages one key may seal; the last nonce is reserved. No connection lives that long. */
const NONCE_MAX = Number.MAX_SAFE_INTEGER;
const PROTOCOL = 'Noise_XX_25519_ChaChaPoly_BLAKE2s';
const NONE = new Uint8Array();

export interface KeyPair {
  readonly privateKey: KeyObject;
  /** 32 bytes. */
  readonly publicBytes: Uint8Array;
}

/** A fresh X25519 key pair. */
export function generateKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return { privateKey, publicBytes: publicKey.export({ format: 'raw-public' }) };
}

/** The key pair of a private key. */
export function keyPairOf(privateKey: KeyObject): KeyPair {
  const publicBytes = createPublicKey(privateKey).export({ format: 'raw-public' });
  return { privateKey, publicBytes };
}

/** One direction: a key, and a nonce that counts messages. */
export class CipherState {
  readonly #bytes: Uint8Array;
  readonly #nonce = Buffer.alloc(12);
  /** For Node's cipher, and the one of short frames; made when a frame needs them. */
  #key: KeyObject | undefined;
  #short: ShortCipher | undefined;
  #count = 0;

  /** `key`: 32 bytes, copied. */
  constructor(key: Uint8Array) {
    this.#bytes = Uint8Array.from(key);
  }

  /** Messages sealed or opened so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Pieces sealed as one message: their ciphertext and the tag, in pieces too, so that nothing long is copied.
   * @throws Error when the nonces are used up: a bug
   */
  sealPieces(pieces: readonly Uint8Array[], data: Uint8Array = NONE): Buffer[] {
    let plaintextLength = 0;
    for (const piece of pieces) plaintextLength += piece.length;
    const whole = together(pieces);
    const [first] = whole;
    if (data.length === 0 && plaintextLength <= SHORT_BYTES_MAX && first !== undefined)
      return [this.#shortCipher().seal(this.#next(), first)];
    const cipher = createCipheriv('chacha20-poly1305', this.#secret(), this.#next(), {
      authTagLength: TAG_BYTES,
    });
    if (data.length > 0) cipher.setAAD(data, { plaintextLength });
    const sealed = whole.map((piece) => cipher.update(piece));
    cipher.final();
    sealed.push(cipher.getAuthTag());
    return sealed;
  }

  seal(plain: Uint8Array, data: Uint8Array = NONE): Buffer {
    return Buffer.concat(this.sealPieces([plain], data));
  }

  /** The plaintext, or undefined when it was not sealed so: then this state is of no further use. */
  open(sealed: Uint8Array, data: Uint8Array = NONE): Buffer | undefined {
    if (sealed.length < TAG_BYTES) return undefined;
    const end = sealed.length - TAG_BYTES;
    if (data.length === 0 && end <= SHORT_BYTES_MAX)
      return this.#shortCipher().open(this.#next(), sealed);
    const decipher = createDecipheriv('chacha20-poly1305', this.#secret(), this.#next(), {
      authTagLength: TAG_BYTES,
    });
    if (data.length > 0) decipher.setAAD(data, { plaintextLength: end });
    decipher.setAuthTag(sealed.subarray(end));
    const plain = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain;
  }

  #secret(): KeyObject {
    return (this.#key ??= createSecretKey(this.#bytes));
  }

  #shortCipher(): ShortCipher {
    return (this.#short ??= new ShortCipher(this.#bytes));
  }

  #next(): Buffer {
    if (this.#count >= NONCE_MAX) throw new Error('a cipher ran out of nonces');
    // 4 zero bytes, then the counter, little-endian.
    this.#nonce.writeUInt32LE(this.#count % 0x1_0000_0000, 4);
    this.#nonce.writeUInt32LE(Math.floor(this.#count / 0x1_0000_0000), 8);
    this.#count++;
    return this.#nonce;
  }
}

/** Plaintext up to this is put together first: a call of the cipher costs more than copying it. */
const TOGETHER_BYTES_MAX = 4_096;
const scratch = Buffer.allocUnsafeSlow(TOGETHER_BYTES_MAX);

/** The same bytes in one piece when they are few; it is good until the next call. */
function together(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  if (pieces.length === 1) return pieces;
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  if (bytes > TOGETHER_BYTES_MAX) return pieces;
  let at = 0;
  for (const piece of pieces) {
    scratch.set(piece, at);
    at += piece.length;
  }
  return [scratch.subarray(0, bytes)];
}

/** What a handshake ends with. */
export interface Split {
  readonly send: CipherState;
  readonly receive: CipherState;
}

/**
 * One side of a handshake. The initiator writes, reads, writes; the responder reads, writes, reads; then `split`. A read that returns
 * undefined ends it: the message was not the other side's, or was not for this handshake.
 */
export class NoiseXX {
  readonly #initiator: boolean;
  readonly #static: KeyPair;
  readonly #ephemeral: KeyPair;
  readonly #symmetric: SymmetricState;
  #remoteEphemeral: Uint8Array = NONE;
  #remoteStatic: Uint8Array = NONE;
  #turn = 0;

  /** `prologue`: empty between nodes (§3); the public vectors of the pattern have one. */
  constructor(
    role: 'initiator' | 'responder',
    keys: { readonly s: KeyPair; readonly e: KeyPair; readonly prologue?: Uint8Array },
  ) {
    this.#initiator = role === 'initiator';
    this.#static = keys.s;
    this.#ephemeral = keys.e;
    this.#symmetric = new SymmetricState(keys.prologue ?? NONE);
  }

  /** The other side's static public key, 32 bytes once it was read. */
  get remoteStatic(): Uint8Array {
    return this.#remoteStatic;
  }

  /** The next message, with a payload: message 1 of the initiator, 2 of the responder, 3 of the initiator. */
  write(payload: Uint8Array = NONE): Uint8Array {
    const state = this.#symmetric;
    this.#take('write');
    switch (this.#turn) {
      case 1:
        state.mixHash(this.#ephemeral.publicBytes);
        return Buffer.concat([this.#ephemeral.publicBytes, state.seal(payload)]);
      case 2: {
        state.mixHash(this.#ephemeral.publicBytes);
        state.mixKey(dh(this.#ephemeral, this.#remoteEphemeral));
        const sealedStatic = state.seal(this.#static.publicBytes);
        state.mixKey(dh(this.#static, this.#remoteEphemeral));
        return Buffer.concat([this.#ephemeral.publicBytes, sealedStatic, state.seal(payload)]);
      }
      default: {
        const sealedStatic = state.seal(this.#static.publicBytes);
        state.mixKey(dh(this.#static, this.#remoteEphemeral));
        return Buffer.concat([sealedStatic, state.seal(payload)]);
      }
    }
  }

  /** The payload of the other side's next message. */
  read(message: Uint8Array): Uint8Array | undefined {
    this.#take('read');
    try {
      return this.#read(message);
    } catch {
      // The host refuses points of small order, which anybody can send.
      return undefined;
    }
  }

  /** The ciphers of the connection. */
  split(): Split {
    if (this.#turn !== 3) throw new Error('a handshake was split before its end');
    const [first, second] = this.#symmetric.split();
    return this.#initiator ? { send: first, receive: second } : { send: second, receive: first };
  }

  #read(message: Uint8Array): Uint8Array | undefined {
    const state = this.#symmetric;
    const sealedBytes = DH_BYTES + TAG_BYTES;
    if (this.#turn < 3) {
      if (message.length < DH_BYTES) return undefined;
      this.#remoteEphemeral = Uint8Array.from(message.subarray(0, DH_BYTES));
      state.mixHash(this.#remoteEphemeral);
    }
    if (this.#turn === 1) return state.open(message.subarray(DH_BYTES));
    if (this.#turn === 2) state.mixKey(dh(this.#ephemeral, this.#remoteEphemeral));
    const at = this.#turn === 2 ? DH_BYTES : 0;
    const remoteStatic = state.open(message.subarray(at, at + sealedBytes));
    if (remoteStatic === undefined || remoteStatic.length !== DH_BYTES) return undefined;
    this.#remoteStatic = remoteStatic;
    state.mixKey(dh(this.#ephemeral, remoteStatic));
    return state.open(message.subarray(at + sealedBytes));
  }

  /** Turns alternate: the initiator writes 1 and 3. */
  #take(action: 'write' | 'read'): void {
    this.#turn++;
    const writes = (this.#turn % 2 === 1) === this.#initiator;
    if (this.#turn > 3 || writes !== (action === 'write'))
      throw new Error(`a handshake cannot ${action} message ${this.#turn}`);
  }
}

/** The chaining key, the hash of all that was said, and the key in use (Noise §5.2). */
class SymmetricState {
  #chaining: Uint8Array;
  #hash: Uint8Array;
  #cipher: CipherState | undefined;

  constructor(prologue: Uint8Array) {
    // A name longer than a hash is hashed.
    this.#chaining = hash(Buffer.from(PROTOCOL));
    this.#hash = hash(this.#chaining, prologue);
  }

  mixHash(bytes: Uint8Array): void {
    this.#hash = hash(this.#hash, bytes);
  }

  mixKey(secret: Uint8Array): void {
    const [chaining, key] = derive(this.#chaining, secret);
    this.#chaining = chaining;
    this.#cipher = new CipherState(key);
    secret.fill(0);
    key.fill(0);
  }

  seal(plain: Uint8Array): Uint8Array {
    const sealed = this.#cipher?.seal(plain, this.#hash) ?? plain;
    this.mixHash(sealed);
    return sealed;
  }

  open(sealed: Uint8Array): Uint8Array | undefined {
    const plain = this.#cipher === undefined ? sealed : this.#cipher.open(sealed, this.#hash);
    this.mixHash(sealed);
    return plain;
  }

  split(): [CipherState, CipherState] {
    const [first, second] = derive(this.#chaining, NONE);
    const ciphers: [CipherState, CipherState] = [new CipherState(first), new CipherState(second)];
    for (const bytes of [first, second, this.#chaining]) bytes.fill(0);
    return ciphers;
  }
}

function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const hasher = createHash('blake2s256');
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

/** HKDF of Noise §4.3, two outputs. */
function derive(chaining: Uint8Array, secret: Uint8Array): [Uint8Array, Uint8Array] {
  const mac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => {
    const hmac = createHmac('blake2s256', key);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  };
  const temporary = mac(chaining, secret);
  const first = mac(temporary, Uint8Array.of(1));
  return [first, mac(temporary, first, Uint8Array.of(2))];
}

function dh(own: KeyPair, remote: Uint8Array): Uint8Array {
  const publicKey = createPublicKey({
    key: Buffer.from(remote),
    format: 'raw-public',
    asymmetricKeyType: 'x25519',
  });
  return diffieHellman({ privateKey: own.privateKey, publicKey });
}
