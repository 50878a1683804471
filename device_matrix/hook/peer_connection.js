// Runs before the page's own scripts and records every RTCPeerConnection of any web app.
//
// It takes one sample of raw cumulative counters per second; Python computes the differences (capture/stats.py). All
// times are milliseconds since 1970 on the page's monotonic clock. Read the data with window.ringfenceHook.take().
(options) => {
  const Native = window.RTCPeerConnection;
  if (!Native || window.ringfenceHook) return;

  const nowMs = () => performance.timeOrigin + performance.now();
  const connections = [];

  const define = (name, value) => {
    try {
      Object.defineProperty(Navigator.prototype, name, { get: () => value, configurable: true });
    } catch { /* a browser that refuses keeps its own value */ }
  };
  define('hardwareConcurrency', options.cores);
  define('deviceMemory', options.deviceMemoryGb);

  const pick = (report, names) => {
    const picked = {};
    for (const name of names) if (report[name] !== undefined) picked[name] = report[name];
    return picked;
  };

  const INBOUND = ['ssrc', 'packetsReceived', 'packetsLost', 'packetsDiscarded', 'bytesReceived', 'jitter',
    'jitterBufferDelay', 'jitterBufferEmittedCount', 'jitterBufferTargetDelay', 'concealedSamples',
    'silentConcealedSamples', 'concealmentEvents', 'totalSamplesReceived', 'audioLevel', 'totalAudioEnergy',
    'framesReceived', 'framesDecoded', 'framesDropped', 'freezeCount', 'totalFreezesDuration', 'frameWidth',
    'frameHeight', 'nackCount', 'pliCount'];
  const OUTBOUND = ['ssrc', 'active', 'packetsSent', 'bytesSent', 'targetBitrate', 'framesSent', 'framesEncoded',
    'frameWidth', 'frameHeight', 'totalEncodeTime', 'qualityLimitationReason', 'encoderImplementation',
    'powerEfficientEncoder'];
  const REMOTE_INBOUND = ['roundTripTime', 'fractionLost', 'packetsLost', 'jitter'];
  const PAIR = ['currentRoundTripTime', 'packetsSent', 'packetsReceived', 'bytesSent', 'bytesReceived',
    'availableOutgoingBitrate'];
  const CANDIDATE = ['address', 'port', 'protocol', 'candidateType'];

  const codecOf = (stats, report) => {
    const codec = report.codecId && stats.get(report.codecId);
    return codec ? pick(codec, ['mimeType', 'payloadType', 'clockRate', 'sdpFmtpLine']) : null;
  };

  const readStats = (stats) => {
    const sample = {};
    let selectedId = null;
    for (const report of stats.values()) {
      if (report.type === 'transport') selectedId = report.selectedCandidatePairId || selectedId;
      if (report.type === 'inbound-rtp') {
        sample[`${report.kind}In`] = { ...pick(report, INBOUND), codec: codecOf(stats, report) };
      } else if (report.type === 'outbound-rtp') {
        sample[`${report.kind}Out`] = { ...pick(report, OUTBOUND), codec: codecOf(stats, report) };
      } else if (report.type === 'remote-inbound-rtp') {
        sample[`${report.kind}RemoteIn`] = pick(report, REMOTE_INBOUND);
      }
    }
    const pair = selectedId && stats.get(selectedId);
    if (pair) {
      const local = stats.get(pair.localCandidateId);
      const remote = stats.get(pair.remoteCandidateId);
      sample.pair = {
        ...pick(pair, PAIR), local: local ? pick(local, CANDIDATE) : {}, remote: remote ? pick(remote, CANDIDATE) : {},
      };
    }
    return sample;
  };

  const watch = (connection) => {
    const seen = { createdAtMs: nowMs(), iceAtMs: null, connectedAtMs: null, firstAudioAtMs: null, closedAtMs: null,
      states: [], samples: [] };
    connections.push({ connection, seen });

    const sampleNow = async () => {
      const atMs = nowMs();
      try {
        seen.samples.push({ atMs, ...readStats(await connection.getStats()) });
      } catch { /* closed between two ticks */ }
    };
    seen.sampleNow = sampleNow;
    const sampling = setInterval(sampleNow, options.sampleIntervalMs);

    // A source is listed once the receiver has played one of its packets: the audio arrived and was decrypted.
    const listening = setInterval(() => {
      for (const receiver of connection.getReceivers()) {
        if (receiver.track?.kind !== 'audio') continue;
        const [source] = receiver.getSynchronizationSources();
        if (source && seen.firstAudioAtMs === null) {
          seen.firstAudioAtMs = nowMs();
          clearInterval(listening);
        }
      }
    }, options.firstAudioPollMs);

    const finish = () => {
      if (seen.closedAtMs !== null) return;
      seen.closedAtMs = nowMs();
      clearInterval(sampling);
      clearInterval(listening);
    };
    connection.addEventListener('iceconnectionstatechange', () => {
      const state = connection.iceConnectionState;
      seen.states.push([nowMs(), `ice:${state}`]);
      if (seen.iceAtMs === null && (state === 'connected' || state === 'completed')) seen.iceAtMs = nowMs();
    });
    connection.addEventListener('connectionstatechange', () => {
      const state = connection.connectionState;
      seen.states.push([nowMs(), `connection:${state}`]);
      if (seen.connectedAtMs === null && state === 'connected') seen.connectedAtMs = nowMs();
      if (state === 'closed') finish();
    });
    // close() fires no event and ends the statistics.
    const close = connection.close.bind(connection);
    connection.close = () => {
      finish();
      close();
    };
  };

  window.RTCPeerConnection = new Proxy(Native, {
    construct(target, args, newTarget) {
      const connection = Reflect.construct(target, args, newTarget);
      watch(connection);
      return connection;
    },
  });
  if (window.webkitRTCPeerConnection) window.webkitRTCPeerConnection = window.RTCPeerConnection;

  Object.defineProperty(window, 'ringfenceHook', {
    enumerable: false,
    value: {
      take: () => connections.map(({ seen }) => ({ ...seen, sampleNow: undefined })),
      sampleNow: () => Promise.all(connections.map(({ seen }) => (seen.closedAtMs === null ? seen.sampleNow() : null))),
      heard: () => connections.some(({ seen }) => seen.firstAudioAtMs !== null),
    },
  });
}
