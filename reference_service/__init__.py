"""The calling service under test: messaging, and voice and video calls signalled through the same threads.

A black box: it imports nothing of ours and is started as a process, ``python -m reference_service --database FILE``
(``--help`` tells the rest). It prints ``{"event": "ready", "url": ..., "port": ...}`` once it listens, on loopback and,
when told, on the host ends of test links. SIGTERM ends the open calls, closes every socket with code 1001 and exits 0.

HTTP: ``GET /health``; ``POST /api/sign-in {name, password}`` -> ``{token, user}``; ``GET /`` and ``/static/*``, the web
client; ``/admin/*`` with ``Authorization: Bearer $RINGFENCE_ADMIN_TOKEN`` (see ``admin.py``). An error is
``{error, message}``.

``/ws`` carries one JSON object a message. The client says ``hello {token, client}`` first and hears ``welcome {user,
contacts, ice_servers, policy}``. In what follows ``?`` marks an optional field; a ``ref`` comes back in the reply.
Clients ignore types and fields that they do not know. What is wrong is answered with ``error {ref?, call_id?, code,
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
confirms. Who acts on a call that has just ended hears ``call.ended`` again, never an error.

The races: the first answer wins and the callee's other devices hear ``answered_elsewhere``; an answer that comes after
the cancel loses; a cancel that comes after the answer hangs up; when two people call each other at once, the invite
that was read first stands and the other is refused as busy; when both reoffer at once both pass, and the clients let
the caller's stand. A caller who is in a call already is refused as busy, too; one who is being called hears that
``call.incoming`` again after the refusal.

A socket lost in a call: the service keeps what is said to that side for 5 s. ``call.resume {call_id}`` on a new socket
is answered with ``call.resumed {call_id, state, media}`` and then everything missed; it also takes a call over from
another socket of the same user, which hears ``answered_elsewhere``. After 5 s, ``call.ended {reason: peer_lost}``.
"""
