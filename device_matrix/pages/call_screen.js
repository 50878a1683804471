// The page object installs this once the app is open. It keeps a timeline of the call screen's states, each with its
// time (milliseconds since 1970). Python waits for a state inside the page and does not have to poll.
() => {
  if (window.ringfenceCallScreen) return;
  const nowMs = () => performance.timeOrigin + performance.now();
  const timeline = [];
  const waiting = new Set();

  const read = () => {
    const screen = document.querySelector('[data-testid=call-screen]');
    if (!screen || !screen.dataset.state) return null;
    const { state, callId, media, quality, fallback, endReason } = screen.dataset;
    return { state, callId: callId ?? '', media: media ?? '', quality: quality ?? '', fallback: fallback ?? '',
      endReason: endReason ?? '' };
  };
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  let last = null;
  const look = () => {
    const shown = read();
    if (shown === null || same(shown, last)) return;
    last = shown;
    timeline.push({ atMs: nowMs(), ...shown });
    for (const wait of waiting) wait();
  };
  new MutationObserver(look).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true,
    attributeFilter: ['data-state', 'data-call-id', 'data-media', 'data-quality', 'data-fallback', 'data-end-reason'],
  });
  look();

  const matches = (entry, wanted) => Object.entries(wanted).every(([name, values]) => values.includes(entry[name]));

  window.ringfenceCallScreen = {
    timeline: () => timeline,
    waitFor: (wanted, timeoutMs) => new Promise((resolve) => {
      const end = (entry) => {
        waiting.delete(check);
        clearTimeout(timer);
        resolve(entry);
      };
      const check = () => {
        const entry = timeline.at(-1);
        if (entry && wanted.some((one) => matches(entry, one))) end(entry);
      };
      const timer = setTimeout(() => end(null), timeoutMs);
      waiting.add(check);
      check();
    }),
  };
}
