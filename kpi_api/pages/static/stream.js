// The live stream: server-sent events read with fetch, since EventSource can send no API key. Reconnects by itself.

const SILENCE_MS = 15000; // the server speaks every few seconds; longer silence is a dead connection
const RETRIES_MS = [500, 1000, 2000, 4000, 8000];

const keyHeaders = () => {
  const key = sessionStorage.getItem("api-key");
  return key ? { "X-API-Key": key } : {};
};

export class KeyNeeded extends Error {}

export async function ask(path, signal) {
  const answer = await fetch(path, { headers: keyHeaders(), signal });
  if (answer.status === 401) throw new KeyNeeded();
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

// Calls onSnapshot for every event, onLost when the connection is gone; returns a function that stops it.
export function follow(path, { onSnapshot, onLost, onKeyNeeded }) {
  let stopped = false;
  let failures = 0;
  let abort = new AbortController();

  async function listen() {
    abort = new AbortController();
    const answer = await ask(path, abort.signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let pending = "";
    for (;;) {
      const { value, done } = await within(reader.read(), abort);
      if (done) return;
      const events = (pending + value).split("\n\n");
      pending = events.pop();
      for (const event of events) deliver(event);
    }
  }

  function deliver(event) {
    const lines = event.split("\n");
    if (!lines.includes("event: snapshot")) return;
    failures = 0;
    const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
    onSnapshot(JSON.parse(data.join("\n")));
  }

  async function run() {
    while (!stopped) {
      try {
        await listen();
      } catch (error) {
        if (error instanceof KeyNeeded) return onKeyNeeded();
      }
      if (stopped) return;
      onLost();
      await new Promise((wake) => setTimeout(wake, RETRIES_MS[Math.min(failures++, RETRIES_MS.length - 1)]));
    }
  }

  run();
  return () => {
    stopped = true;
    abort.abort();
  };
}

async function within(promise, abort) {
  const timer = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
