// A field that searches all classes of a model: type, choose with the arrow keys or the pointer.

let searchFields = 0;

/** Make a search field over the classes of a model: `choose` gets the class, `suggest` gives those to begin with. */
function makeClassSearch(model, label, placeholder, choose, suggest = () => []) {
  const id = `class-search-${searchFields += 1}`;
  const field = make("input", {
    type: "text", id, role: "combobox", autocomplete: "off", spellcheck: "false", placeholder, "aria-label": label,
    "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list",
  });
  const list = make("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, hidden: "" });
  const element = make("div", { class: "class-search" }, field, list);
  const search = { model, field, list, choose, suggest, classes: [], active: -1, request: null, answered: null };
  for (const event of ["input", "focus"]) {
    field.addEventListener(event, () => { search.answered = searchClasses(search); });
  }
  field.addEventListener("blur", () => closeList(search));
  field.addEventListener("keydown", (event) => onSearchKey(search, event));
  return element;
}

async function searchClasses(search) {
  search.request?.abort();
  search.request = new AbortController();
  const query = search.field.value.trim();
  const suggested = query ? [] : search.suggest();
  if (suggested.length) return openList(search, suggested);
  const parameters = { model: search.model.id, query, limit: 50 };
  try {
    const { classes } = await requestJson("classes", parameters, { signal: search.request.signal });
    return document.activeElement === search.field ? openList(search, classes) : undefined;
  } catch (error) {
    return sayError(error);
  }
}

function openList(search, classes) {
  search.classes = classes;
  const options = classes.map((found, number) => {
    const id = `${search.list.id}-${number}`;
    const option = makeText("li", found.name, { role: "option", id, "aria-selected": "false" });
    option.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the field keeps the focus until the choice is made
      chooseClass(search, found);
    });
    return option;
  });
  const none = make("li", { class: "quiet", role: "option", "aria-disabled": "true" }, "No class has this name.");
  search.list.replaceChildren(...(options.length ? options : [none]));
  search.list.hidden = false;
  search.field.setAttribute("aria-expanded", "true");
  setActive(search, search.field.value.trim() && classes.length ? 0 : -1);
}

function closeList(search) {
  search.request?.abort();
  search.list.hidden = true;
  search.field.setAttribute("aria-expanded", "false");
  search.field.removeAttribute("aria-activedescendant");
}

function chooseClass(search, chosen) {
  search.field.value = "";
  closeList(search);
  search.field.blur();
  search.choose(chosen);
}

/** Choose the marked class, after the answer for what was typed last. */
async function chooseActive(search) {
  await search.answered;
  if (search.classes[search.active]) chooseClass(search, search.classes[search.active]);
}

function setActive(search, number) {
  search.active = number;
  [...search.list.children].forEach((option, index) => {
    if (search.classes.length) option.setAttribute("aria-selected", String(index === number));
  });
  const option = search.classes.length ? search.list.children[number] : null;
  if (option) scrollWithin(search.list, option);
  if (option) search.field.setAttribute("aria-activedescendant", option.id);
  else search.field.removeAttribute("aria-activedescendant");
}

function onSearchKey(search, event) {
  const count = search.classes.length;
  if (event.key === "Escape") {
    search.field.value = "";
    search.field.blur();
  } else if (event.key === "Enter") {
    chooseActive(search);
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count) {
    const step = event.key === "ArrowDown" ? 1 : -1;
    setActive(search, search.active === -1 && step < 0 ? count - 1 : (search.active + step + count) % count);
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}
