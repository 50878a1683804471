"""RTP and RTCP: headers, sender, receiver, feedback, windows."""
