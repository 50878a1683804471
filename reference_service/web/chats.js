// People, threads and messages: what is known here, and what is on its way. Draws nothing.

const PAGE = 50;
const THREADS = 100;
const SEEN_AFTER_MS = 1500;

const freshRef = () => `r${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;
const textItem = (me, { seq, from, text, at_ms }) => ({ kind: "text", key: `m${seq}`, seq, mine: from === me, text, atMs: at_ms, status: "sent" });

const callItem = (me, call) => ({ ...call, kind: "call", key: `c${call.call_id}`, mine: call.from === me, atMs: call.at_ms });

/** Event `change`; its detail is the person's name, or null for the list. */
export class Chats extends EventTarget {
  people = new Map();
  threads = new Map();
  open = null;
  moreThreads = false;
  #signaling;
  #seenTimer = 0;

  constructor(signaling, me) {
    super();
    this.#signaling = signaling;
    this.me = me;
    signaling.addEventListener("online", ({ detail }) => this.#online(detail));
    signaling.addEventListener("message", ({ detail }) => detail.type === "message.new" && this.#arrived(detail));
  }

  #changed(name = null) {
    this.dispatchEvent(new CustomEvent("change", { detail: name }));
  }

  person(name) {
    let person = this.people.get(name);
    if (!person) this.people.set(name, (person = { name, displayName: name, online: false, canCall: null, last: null, unread: 0 }));
    return person;
  }

  #thread(name) {
    let thread = this.threads.get(name);
    if (!thread) this.threads.set(name, (thread = { items: [], loaded: false, complete: false, pending: [] }));
    return thread;
  }

  sorted(filter = "") {
    const wanted = filter.trim().toLowerCase();
    const found = [...this.people.values()].filter(
      ({ name, displayName }) => !wanted || name.toLowerCase().includes(wanted) || displayName.toLowerCase().includes(wanted),
    );
    return found.sort((a, b) => (b.last?.atMs ?? 0) - (a.last?.atMs ?? 0) || b.canCall - a.canCall || b.online - a.online
      || a.displayName.localeCompare(b.displayName));
  }

  items(name) {
    const { items, pending } = this.#thread(name);
    return [...items, ...pending];
  }

  get unread() {
    return [...this.people.values()].reduce((total, { unread }) => total + unread, 0);
  }

  #takeContacts(contacts) {
    for (const { name, display_name, online, can_call } of contacts) {
      Object.assign(this.person(name), { displayName: display_name, online, canCall: can_call });
    }
    this.contactsAtMs = performance.now();
  }

  async #online(welcome) {
    this.#takeContacts(welcome.contacts);
    this.#changed();
    for (const [name, thread] of this.threads) if (thread.pending.length) this.#deliver(name);
    if (this.open) this.load(this.open);
    await this.loadThreads();
  }

  async loadThreads({ more = false } = {}) {
    const oldest = more ? Math.min(...[...this.people.values()].filter((p) => p.last).map((p) => p.last.atMs)) : null;
    const reply = await this.#ask({ type: "thread.list", limit: THREADS, ...(oldest && { before: oldest }) });
    if (!reply) return;
    for (const { with: name, display_name, online, last, unread } of reply.threads) {
      const fresh = { from: last.from, text: last.text, atMs: last.at_ms };
      Object.assign(this.person(name), { displayName: display_name, online, last: fresh, unread: name === this.open ? 0 : unread });
    }
    this.moreThreads = reply.threads.length === THREADS;
    this.#changed();
  }

  /** The service does not push presence: it is asked for when somebody looks. */
  async refreshPresence(olderThanMs) {
    if (performance.now() - (this.contactsAtMs ?? 0) < olderThanMs) return;
    this.contactsAtMs = performance.now();
    const reply = await this.#ask({ type: "contacts.list" });
    if (!reply) return;
    this.#takeContacts(reply.contacts);
    this.#changed();
  }

  #ask(message) {
    return this.#signaling.request(message).catch(() => null);
  }

  async load(name, { older = false } = {}) {
    const thread = this.#thread(name);
    const first = older && thread.items.find((item) => item.seq);
    if (older && (!first || thread.complete || thread.loading)) return;
    thread.loading = true;
    const reply = await this.#ask({ type: "thread.read", with: name, limit: PAGE, ...(older && { before: first.seq }) });
    thread.loading = false;
    if (!reply) return;
    thread.loaded = true;
    if (reply.messages.length < PAGE) thread.complete = true;
    this.#merge(thread, [...reply.messages.map((m) => textItem(this.me, m)), ...reply.calls.map((c) => callItem(this.me, c))]);
    if (!older) this.person(name).unread = 0;
    this.#changed(name);
  }

  #merge(thread, items) {
    const all = new Map(thread.items.map((item) => [item.key, item]));
    const keyOf = new Map(thread.items.filter((item) => item.seq).map((item) => [item.seq, item.key]));
    for (const item of items) {
      const key = keyOf.get(item.seq) ?? item.key;
      all.set(key, { ...all.get(key), ...item, key });
    }
    thread.items = [...all.values()].sort((a, b) => a.atMs - b.atMs || (a.seq ?? 0) - (b.seq ?? 0));
  }

  #arrived(message) {
    const person = this.person(message.from);
    person.online = true;
    person.last = { from: message.from, text: message.text, atMs: message.at_ms };
    this.#merge(this.#thread(message.from), [textItem(this.me, message)]);
    if (this.open === message.from && !document.hidden) this.#sawSoon(message.from);
    else person.unread += 1;
    this.#changed(message.from);
  }

  /** Reading is what marks a thread as read: one small request for a burst of messages. */
  #sawSoon(name) {
    clearTimeout(this.#seenTimer);
    this.#seenTimer = setTimeout(() => this.#ask({ type: "thread.read", with: name, limit: 1 }), SEEN_AFTER_MS);
  }

  enter(name) {
    this.open = name;
    if (name) {
      this.person(name).unread = 0;
      this.load(name);
    }
    this.#changed(name);
  }

  send(name, text) {
    const ref = freshRef();
    const lastSeq = this.#thread(name).items.findLast((item) => item.seq)?.seq ?? 0;
    const item = { kind: "text", key: ref, ref, mine: true, text, atMs: Date.now(), status: "sending", afterSeq: lastSeq };
    this.#thread(name).pending.push(item);
    this.person(name).last = { from: this.me, text, atMs: item.atMs };
    this.#changed(name);
    this.#push(name, item);
  }

  retry(name, item) {
    item.status = "sending";
    this.#changed(name);
    this.#deliver(name);
  }

  async #push(name, item) {
    try {
      const ack = await this.#signaling.request({ type: "message.send", ref: item.ref, to: name, text: item.text });
      this.#settle(name, item, { seq: ack.seq, atMs: ack.at_ms });
    } catch (error) {
      if (!error.code) return; // The socket went: the message waits for the next one.
      Object.assign(item, { status: "failed", why: error.code === "blocked" ? "They don’t take messages from you." : "Not sent." });
      this.#changed(name);
    }
  }

  #settle(name, item, { seq, atMs }) {
    const thread = this.#thread(name);
    thread.pending = thread.pending.filter((other) => other !== item);
    thread.items = thread.items.filter((other) => other.seq !== seq); // It may have come with a page.
    this.#merge(thread, [{ ...item, seq, atMs, status: "sent" }]);
    this.#changed(name);
  }

  /** After a lost socket nobody knows what arrived: look first, so that nothing is sent twice. */
  async #deliver(name) {
    await this.load(name);
    const thread = this.#thread(name);
    for (const item of thread.pending.filter(({ status }) => status === "sending")) {
      const there = thread.items.find((other) => other.mine && other.text === item.text && other.seq > item.afterSeq);
      if (there) this.#settle(name, item, there);
      else await this.#push(name, item);
    }
  }

  addCall(name, call) {
    this.#merge(this.#thread(name), [callItem(this.me, call)]);
    this.#changed(name);
  }
}
