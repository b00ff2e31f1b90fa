// The choice of methods: each has a picture of its own.

const methodGroups = [
  { title: "", has: (method) => !method.slow && method.kind !== "baseline" },
  { title: "Slower, computed on demand", has: (method) => method.slow && method.kind !== "baseline" },
  { title: "Only to compare with", has: (method) => method.kind === "baseline" },
];

function prepareMethods() {
  for (const group of methodGroups) {
    const methods = allMethods().filter(group.has);
    const list = make("ul", { role: "list" }, ...methods.map(makeMethodBox));
    const element = group.title ? make("details", {}, make("summary", {}, group.title), list) : list;
    if (methods.length) byId("methods").append(element);
  }
}

function makeMethodBox(method) {
  const box = make("input", { type: "checkbox", value: method.name });
  box.addEventListener("change", () => chooseMethods(box));
  const cost = method.slow ? make("span", { class: "quiet" }, method.cost) : null;
  const label = make("label", { title: method.description }, box, make("span", {}, method.name), cost);
  return make("li", {}, label);
}

function chooseMethods(changed) {
  const boxes = [...byId("methods").querySelectorAll("input")];
  const names = boxes.filter((box) => box.checked).map((box) => box.value);
  if (names.length > maxMethods) {
    changed.checked = false;
    say(`At most ${maxMethods} methods side by side.`);
  } else if (!names.length) {
    changed.checked = true; // one picture stays
  } else {
    show({ methods: names.length === 1 && names[0] === session.defaults.method ? "" : names.join(",") });
  }
}

function drawMethods() {
  const chosen = shownMethods();
  for (const box of byId("methods").querySelectorAll("input")) {
    box.checked = chosen.includes(box.value);
    if (box.checked) box.closest("details")?.setAttribute("open", "");
  }
}
