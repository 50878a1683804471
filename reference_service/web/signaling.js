// The WebSocket of a signed-in person: requests, reconnection, the round trip.

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 15000;
const PING_EVERY_MS = 15000;
const PONG_WITHIN_MS = 12000; // 2G answers after seconds, a dead socket never.
const REPLY_WITHIN_MS = 20000;
const RTT_KEEP_MS = 120000;

/** The Error's message is for people. */
export async function signIn(name, password) {
  let response;
  try {
    response = await fetch("/api/sign-in", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name, password }),
    });
  } catch {
    throw new Error("No connection. Check your network and try again.");
  }
  if (response.status === 401) throw new Error("That name and password don’t match.");
  if (!response.ok) throw new Error("Sign-in isn’t working right now. Try again in a moment.");
  return response.json();
}

/** Events: `online` (detail: the welcome), `offline`, `denied`, and `message` for what nobody asked for. */
export class Signaling extends EventTarget {
  #socket = null;
  #token;
  #backoffMs = FIRST_BACKOFF_MS;
  #timers = {};
  #replies = new Map();
  #pings = new Map();
  #rtts = [];
  #kept = [];
  #next = 1;
  #closed = false;
  online = false;

  constructor(token) {
    super();
    this.#token = token;
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#retryNow());
    this.#open();
  }

  #open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token: this.#token, client: "web/1" }));
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = () => socket === this.#socket && this.#lost();
  }

  #retryNow() {
    if (this.#closed || this.#socket) return;
    clearTimeout(this.#timers.retry);
    this.#open();
  }

  #lost() {
    this.#socket = null;
    this.online = false;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    for (const { reject } of this.#replies.values()) reject(new Error("offline"));
    this.#replies.clear();
    this.#pings.clear();
    if (this.#closed) return;
    this.#timers.retry = setTimeout(() => this.#open(), this.#backoffMs * (0.75 + Math.random() / 2));
    this.#backoffMs = Math.min(2 * this.#backoffMs, LONGEST_BACKOFF_MS);
    this.#tell("offline");
  }

  #receive(message) {
    if (message.type === "welcome") return this.#welcomed(message);
    if (message.type === "pong") return this.#ponged(message.n);
    const reply = message.ref !== undefined && this.#replies.get(message.ref);
    if (reply) {
      this.#replies.delete(message.ref);
      clearTimeout(reply.timer);
      if (message.type === "error") reply.reject(Object.assign(new Error(message.message), { code: message.code }));
      else reply.resolve(message);
      return;
    }
    if (message.type === "error" && !this.online) {
      this.#closed = true;
      return this.#tell("denied");
    }
    this.#tell("message", message);
  }

  #welcomed(welcome) {
    this.online = true;
    this.#backoffMs = FIRST_BACKOFF_MS;
    this.#tell("online", welcome);
    for (const message of this.#kept.splice(0)) this.send(message);
    this.measure().then(() => this.measure(), () => {});
    this.#timers.ping = setInterval(() => this.measure().catch(() => {}), PING_EVERY_MS);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Returns false when offline; with `keep` the message then leaves as soon as the socket is back. */
  send(message, { keep = false } = {}) {
    if (this.online && this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
      return true;
    }
    if (keep) this.#kept.push(message);
    return false;
  }

  /** Resolves with the reply; rejects on `error`, loss of the socket, or silence. */
  request(message) {
    return new Promise((resolve, reject) => {
      const ref = message.ref ?? this.#next++;
      if (!this.send({ ...message, ref })) return reject(new Error("offline"));
      const timer = setTimeout(() => {
        this.#replies.delete(ref);
        reject(new Error("no reply"));
      }, REPLY_WITHIN_MS);
      this.#replies.set(ref, { resolve, reject, timer });
    });
  }

  measure() {
    return new Promise((resolve, reject) => {
      const n = this.#next++;
      if (!this.send({ type: "ping", n })) return reject(new Error("offline"));
      this.#pings.set(n, { sentMs: performance.now(), resolve });
      clearTimeout(this.#timers.pong);
      this.#timers.pong = setTimeout(() => this.#socket?.close(), PONG_WITHIN_MS);
    });
  }

  #ponged(n) {
    const ping = this.#pings.get(n);
    if (!ping) return;
    this.#pings.delete(n);
    if (!this.#pings.size) clearTimeout(this.#timers.pong);
    const nowMs = performance.now();
    this.#rtts = [...this.#rtts, { atMs: nowMs, rttMs: nowMs - ping.sentMs }].slice(-4);
    ping.resolve(nowMs - ping.sentMs);
  }

  /** The least of the recent round trips: the network without its queue. Null: not known. */
  get rttMs() {
    const since = performance.now() - RTT_KEEP_MS;
    const recent = this.#rtts.filter(({ atMs }) => atMs > since).map(({ rttMs }) => rttMs);
    return recent.length ? Math.min(...recent) : null;
  }

  /** Measures once more, but no longer than `withinMs`: no answer by then is an answer. */
  async probe(withinMs) {
    const known = this.rttMs;
    const late = new Promise((resolve) => setTimeout(resolve, withinMs, Math.max(withinMs, known ?? 0)));
    const measured = await Promise.race([this.measure().catch(() => known), late]);
    return known === null ? measured : Math.min(known, measured ?? known);
  }
}
