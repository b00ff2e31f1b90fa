// How maps are drawn: opacity, colors, contours. Maps are numbers, so nothing is requested for another look.

const contourLevels = [0.25, 0.5, 0.75];
const colorTables = new Map();
let mapHidden = false; // for a moment, by key

function prepareLook() {
  for (const [name, table] of Object.entries(session.colormaps)) {
    colorTables.set(name, Uint8Array.from(atob(table), (character) => character.charCodeAt(0)));
    byId("cmap").append(make("option", { value: name }, name));
  }
  byId("opacity").addEventListener("input", () => {
    mapHidden = false;
    show({ opacity: byId("opacity").value }, "opacity");
  });
  byId("cmap").addEventListener("change", () => show({ cmap: byId("cmap").value }));
  for (const id of ["contours", "constant"]) {
    byId(id).addEventListener("change", () => show({ [id]: byId(id).checked ? "1" : "" }));
  }
  byId("map-look").addEventListener("submit", (event) => event.preventDefault());
}

/** Return the opacity of the highest value, in percent. */
function opacityPercent() {
  const chosen = Number(view.opacity);
  if (view.opacity !== "" && chosen >= 0 && chosen <= 100) return Math.round(chosen);
  return Math.round(100 * session.defaults.opacity);
}

function currentLook() {
  const cmap = colorTables.has(view.cmap) ? view.cmap : session.defaults.cmap;
  return {
    cmap,
    colors: colorTables.get(cmap),
    opacity: mapHidden ? 0 : opacityPercent() / 100,
    blend: view.constant === "1" ? "constant" : "opacity",
    contours: view.contours === "1" && !mapHidden ? contourLevels : [],
  };
}

function toggleMap() {
  mapHidden = !mapHidden;
  drawLook();
  say(mapHidden ? "The map is hidden; press h to show it again." : "");
}

function drawLook() {
  const look = currentLook();
  byId("opacity").value = opacityPercent();
  byId("opacity-value").textContent = `${opacityPercent()} %`;
  byId("cmap").value = look.cmap;
  byId("contours").checked = view.contours === "1";
  byId("constant").checked = view.constant === "1";
  drawColorScale(look.colors);
  for (const panel of panels.values()) paintPanel(panel, look);
}

function drawColorScale(colors) {
  const context = byId("color-scale").getContext("2d");
  const pixels = context.createImageData(256, 1);
  for (let level = 0; level < 256; level += 1) {
    pixels.data.set([...colors.subarray(3 * level, 3 * level + 3), 255], 4 * level);
  }
  context.putImageData(pixels, 0, 0);
}
