// Requests to the server, and whether it is there.

const aliveInterval = 3000;
let serverGone = false;

/** An answer of the server that refuses a request, or no answer: `hint` says what to do. */
class ServerError extends Error {
  constructor(message, hint = "", unreachable = false) {
    super(message);
    this.hint = hint;
    this.unreachable = unreachable;
  }
}

/** Return the relative address of a request; parameters without a value are left out. */
function apiAddress(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given);
  return given.length ? `api/${path}?${query}` : `api/${path}`;
}

/** Send a request and return the response; an aborted request raises AbortError, any other failure ServerError. */
async function request(path, parameters = {}, options = {}) {
  let response;
  try {
    response = await fetch(apiAddress(path, parameters), { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    checkServer();
    throw new ServerError("The server does not answer.", "", true);
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response) {
  try {
    const { error, hint } = await response.json();
    return new ServerError(error, hint ?? "");
  } catch {
    return new ServerError(`The server refused this (status ${response.status}).`);
  }
}

const requestJson = async (path, parameters, options) => (await request(path, parameters, options)).json();

/** Ask whether the server is there, and say so when that changes. */
async function checkServer() {
  let gone = "";
  try {
    const response = await fetch("api/alive", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!response.ok) gone = "Another server runs at this address now. Open the address that it printed.";
  } catch {
    gone = "The server has stopped. Start gradcam serve again and open the address that it prints.";
  }
  const returned = serverGone && !gone;
  serverGone = gone !== "";
  byId("gone").hidden = !serverGone;
  if (serverGone && byId("gone").textContent !== gone) byId("gone").textContent = gone;
  if (returned) retryAll();
}

/** Check every few seconds; a hidden page once a minute, which tells the server that a page is open. */
function watchServer() {
  let skipped = 0;
  setInterval(() => {
    skipped = document.hidden ? skipped + 1 : 0;
    if (skipped % 20 === 0) checkServer();
  }, aliveInterval);
  document.addEventListener("visibilitychange", () => document.hidden || checkServer());
}
