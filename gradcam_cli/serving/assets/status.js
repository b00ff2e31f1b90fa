// A line at the bottom of the window that says what was done or why not.

let statusTimer = 0;

/** Say something for a few seconds. */
function say(text, bad = false) {
  const line = byId("status");
  line.textContent = text;
  line.classList.toggle("bad", bad);
  clearTimeout(statusTimer);
  statusTimer = setTimeout(() => { line.textContent = ""; }, bad ? 10000 : 4000);
}

/** Say why something failed; an aborted request is no failure. */
function sayError(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof ServerError)) throw error;
  if (!error.unreachable) say([error.message, error.hint].filter(Boolean).join(" "), true);
}
