"""Provides the calling service under test: messages, and voice and video calls between the same people.

It is a black box: it imports no other package of ringfence and runs as a process,
``python -m reference_service --database FILE`` (see ``--help``). It prints ``{"event": "ready", "url": ..., "port":
...}`` once it listens, on loopback and, when told, on the host ends of test links. SIGTERM ends the open calls, closes
every socket with code 1001 and exits 0.

HTTP: ``GET /health``; ``POST /api/sign-in {name, password}`` -> ``{token, user}``; ``GET /`` and ``/static/*``, the web
client; ``/admin/*`` with ``Authorization: Bearer $RINGFENCE_ADMIN_TOKEN`` (see ``admin.py``). An error is
``{error, message}``.

``/ws`` carries one JSON object a message. The client says ``hello {token, client}`` first and hears ``welcome {user,
contacts, ice_servers, policy}``. Below, ``?`` marks an optional field. The reply repeats the request's ``ref``.
Clients ignore types and fields that they do not know. A wrong message is answered with ``error {ref?, call_id?, code,
message}``: bad_json, unknown_type, bad_message, illegal_transition, unknown_call, unknown_user, blocked, rate_limited,
storage, internal; before ``welcome`` also bad_token and hello_first, after which the socket closes with code 4401.

Everyday messages::

    ping {n}                             -> pong {n}
    message.send {ref, to, text}         -> message.ack {ref, seq, at_ms}, once it is on disk
                                            recipient: message.new {seq, from, text, at_ms}
    thread.list {ref, before?, limit?}   -> thread.list {ref, threads: [{with, display_name, online, unread,
                                            last: {seq, from, text, at_ms}}]}; before is a last.seq
    thread.read {ref, with, before?, limit?} -> thread.messages {ref, with, messages, calls}; before a seq; the newest
                                            page marks the thread read; calls are those of the page's span
    call.history {ref, before?, limit?}  -> call.history {ref, calls}; a call is {call_id, from, to, media, at_ms,
                                            answered, duration_ms, outcome}; before is an at_ms
    contacts.list {ref}                  -> contacts {ref, contacts: [{name, display_name, online, can_call}]}
    control.get {ref}
    control.set {ref, who}               -> control.state {ref, who, blocked}; who is following (the default: only
    control.block {ref, name}               people whom the user follows may call), close_friends, everyone or nobody
    control.unblock {ref, name}
    control.report {ref, name, reason?, call_id?} -> control.reported {ref, name}

A call::

    caller                        service                                     callee, on every device
    call.invite {call_id, to,  -> call.incoming {call_id, from,            ->
        media, sdp}                   display_name, media, sdp}
                               <- call.trying, once the call is on disk, or
                                  call.refused {code: blocked | busy | offline | unknown_user | duplicate}
                               <- call.ringing                             <- call.ringing
                               <- call.answered {media, sdp}               <- call.answer {media, sdp}
    either side, in the call: call.candidate {candidate}, call.reoffer {media, sdp, reason}, call.reanswer {media, sdp},
        call.media {media, reason}, call.quality {level, rtt_ms?, loss_ratio?}; each is relayed as it is
    call.cancel (caller), call.decline (callee), call.hangup (either) -> both: call.ended {call_id, reason, by}

``reason`` is hangup, declined, canceled, no_answer, peer_lost or answered_elsewhere; ``by`` is a name, or null when the
service itself ended the call. ``call.ended`` is sent when the whole log of the call is on disk; the sender's copy
confirms. A client that acts on a call that has just ended gets ``call.ended`` again, never an error.

Races:

- The first answer wins. The callee's other devices get ``answered_elsewhere``.
- An answer after the cancel loses. A cancel after the answer ends the call as canceled.
- When two people call each other at once, the invite that was read first wins. The other is refused as busy.
- When both reoffer at once, both offers pass. The clients keep the caller's.
- A caller who is already in a call is refused as busy. One who is being called gets that ``call.incoming`` again after
  the refusal.

When a socket is lost in a call, the service keeps that side's messages for 5 s. ``call.resume {call_id}`` on a new
socket is answered with ``call.resumed {call_id, state, media}`` and then the messages that were kept. It also moves a
call from another socket of the same user, which gets ``answered_elsewhere``. After 5 s both sides get
``call.ended {reason: peer_lost}``.
"""
