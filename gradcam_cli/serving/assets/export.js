// What can be copied or saved: the commands of the shown maps, and a report of them.

function prepareExport() {
  byId("copy").addEventListener("click", async () => {
    const text = commands().join("\n");
    const copied = await copyText(text, byId("command-text"));
    say(copied ? "Copied." : "Press Ctrl+C to copy the selected command.");
  });
  byId("save").addEventListener("click", saveReport);
}

const answeredPanels = () => [...panels.values()].filter((panel) => panel.answer);

const commands = () => [...new Set(answeredPanels().map((panel) => panel.answer.command).filter(Boolean))];

/** Show the commands of the maps that are shown. */
function onAnswer() {
  const lines = commands();
  byId("command").hidden = !lines.length;
  byId("save").disabled = !lines.length;
  byId("command-text").replaceChildren(...lines.flatMap((line) => ["\n", ...wrappableCommand(line)]).slice(1));
  drawModelCards();
}

/** Download a report of the shown maps as a zip file. */
async function saveReport() {
  const maps = answeredPanels().map((panel) => {
    const { image, ...parameters } = JSON.parse(panel.shownKey);
    return parameters;
  });
  byId("save").disabled = true;
  say("Writing the report …");
  try {
    const [body, headers] = [JSON.stringify({ image: view.image, maps }), { "Content-Type": "application/json" }];
    const response = await request("report", {}, { method: "POST", body, headers });
    const address = URL.createObjectURL(await response.blob());
    const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))?.[1] ?? "gradcam-report.zip";
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    say(`Saved ${name}: unpack it and open index.html.`);
  } catch (error) {
    sayError(error);
  }
  byId("save").disabled = false;
}
