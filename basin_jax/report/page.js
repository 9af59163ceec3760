// What a report does beyond being read: tables are sorted, the one of cells is filtered, and the
// numbers of a cell and of a place in a figure are shown, and the commands that replay a cell's
// seeds. Without it the page is whole.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const cells = document.getElementById("cells");
  const rows = [...cells.tBodies[0].rows];
  const verdicts = data.verdicts;
  // In the address, so that a view can be passed on, and outlives that the page is loaded anew.
  const view = new URLSearchParams(location.hash.slice(1));

  function make(name, text, properties = {}) {
    return Object.assign(document.createElement(name), { textContent: text, ...properties });
  }

  function keep(name, value) {
    if (value) view.set(name, value);
    else view.delete(name);
    history.replaceState(null, "", view.size ? `#${view}` : location.pathname + location.search);
  }

  // Text and numbers in turn: "scale=0.5" comes after "scale=0.25".
  function parts(text) {
    const found = text.trim().replace(/^<\s*/, "").split(/([-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?)/);
    return found.map((part, i) => (i % 2 ? Number(part.replaceAll(",", "")) : part));
  }

  function compare(some, others) {
    for (let i = 0; i < Math.min(some.length, others.length); i++) {
      const order = i % 2 ? some[i] - others[i] : some[i].localeCompare(others[i]);
      if (order) return order;
    }
    return some.length - others.length;
  }

  function sort(table, original, column, direction) {
    const keys = new Map(original.map((row) => [row, parts(row.cells[column].textContent)]));
    const sign = direction === "descending" ? -1 : 1;
    const sorted = direction
      ? original.toSorted((a, b) => sign * compare(keys.get(a), keys.get(b)))
      : original;
    close();
    table.tBodies[0].append(...sorted);
    for (const [i, head] of [...table.tHead.rows[0].cells].entries()) {
      if (i === column && direction) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    }
  }

  // A click sorts up, the next one down, and a third as it was.
  function makeSortable(table) {
    const original = [...table.tBodies[0].rows];
    const next = { ascending: "descending", descending: "", "": "ascending" };
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = make("button", "", { type: "button", title: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const direction = next[head.getAttribute("aria-sort") ?? ""];
        sort(table, original, column, direction);
        if (table === cells) keep("sort", direction && `${column} ${direction}`);
      });
    }
    const [column, direction] = (view.get("sort") ?? "").split(" ");
    if (table === cells && direction in next && table.tHead.rows[0].cells[column])
      sort(table, original, Number(column), direction);
  }

  const form = make("form", "", { className: "controls" });
  const text = make("input", "", { type: "search", placeholder: "filter cells", ariaLabel: "filter cells" });
  const verdict = make("select", "", { ariaLabel: "verdict" });
  const count = make("output", "", { className: "quiet" });

  function filter() {
    const wanted = text.value.toLowerCase();
    close();
    let shown = 0;
    for (const [i, row] of rows.entries()) {
      const told = data.cells[i].verdicts;
      const has = told.some((one, j) => verdicts[j] === verdict.value && one.seeds.length);
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted) || !(has || !verdict.value);
      shown += !row.hidden;
    }
    for (const row of [cells.tHead.rows[0], ...rows])
      for (const [j, name] of verdicts.entries())
        row.cells[j + 2].hidden = verdict.value !== "" && name !== verdict.value;
    count.textContent = `${shown} of ${rows.length} cells`;
  }

  function makeFilters() {
    verdict.append(make("option", "all verdicts", { value: "" }), ...verdicts.map((name) => make("option", name)));
    text.value = view.get("text") ?? "";
    verdict.value = verdicts.find((name) => name === view.get("verdict")) ?? "";
    form.append(text, verdict, count);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      filter();
      keep("text", text.value);
      keep("verdict", verdict.value);
    });
    cells.parentElement.before(form);
    filter();
  }

  function close() {
    for (const detail of cells.querySelectorAll(".detail")) detail.remove();
    for (const row of rows) row.setAttribute("aria-expanded", "false");
  }

  function command(seed, tail) {
    const line = make("div", ""), code = make("code", `basin-jax replay DIR --seed ${seed}${tail}`);
    const button = make("button", "copy", { type: "button" });
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(code);
      await navigator.clipboard?.writeText(code.textContent).then(() => (button.textContent = "copied"), () => {});
    });
    line.append(code, button);
    return line;
  }

  // What the tip tells, and the commands, below a cell's row.
  function toggle(row) {
    const wasOpen = row.getAttribute("aria-expanded") === "true";
    close();
    if (wasOpen) return;
    const cell = data.cells[rows.indexOf(row)];
    const seeds = make("div", "", { className: "seeds" });
    for (const one of cell.verdicts.filter((each) => each.seeds.length))
      seeds.append(make("p", one.told), ...one.seeds.map((seed) => command(seed, cell.tail)));
    const place = make("td", "", { colSpan: verdicts.length + 2 });
    const detail = make("tr", "", { className: "detail" });
    place.append(seeds);
    detail.append(place);
    row.after(detail);
    row.setAttribute("aria-expanded", "true");
  }

  function makeRowsOpen() {
    for (const row of rows) {
      const button = make("button", "", { type: "button", title: "seeds to replay" });
      button.append(...row.cells[0].childNodes);
      row.cells[0].append(button);
      row.addEventListener("click", (event) => {
        // Not where somebody selects its text.
        if (event.target.closest("button") || getSelection().isCollapsed) toggle(row);
      });
    }
    close();
  }

  // Show a text below what is from top to bottom, or above it where there is no room.
  function show(tip, told, left, top, bottom) {
    tip.hidden = false;
    tip.textContent = told;
    const below = bottom + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(0, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(0, below ? bottom : top - tip.offsetHeight)}px`;
  }

  function makeTip() {
    const tip = make("div", "", { id: "tip", role: "tooltip", hidden: true });
    document.body.append(tip);
    cells.addEventListener("pointerover", (event) => {
      const place = event.target.closest("td");
      const row = rows.indexOf(place?.parentElement);
      const told = data.cells[row]?.verdicts[place.cellIndex - 2]?.told;
      tip.hidden = true;
      if (!told || event.pointerType === "touch") return;
      const at = place.getBoundingClientRect();
      show(tip, told, at.left, at.top, at.bottom);
    });
    cells.addEventListener("pointerleave", () => (tip.hidden = true));
    for (const image of document.querySelectorAll("img[data-figure]")) makeFigureTell(image, tip);
  }

  // What the nearest spot tells, of the axes on which a place is.
  function told(figure, boxes, [x, y], at) {
    let first = 0;
    for (const [left, top, right, bottom, places] of boxes) {
      if (left <= x && x <= right && top <= y && y <= bottom) {
        const far = places.map(([across, down]) =>
          Math.hypot(((across ?? x) - x) * at.width, ((down ?? y) - y) * at.height));
        return figure.told[first + far.indexOf(Math.min(...far))];
      }
      first += places.length;
    }
  }

  function makeFigureTell(image, tip) {
    const figure = data.figures[image.dataset.figure];
    const narrow = image.parentElement.querySelector("source");
    const move = (event) => {
      const at = image.getBoundingClientRect();
      const place = [(event.clientX - at.left) / at.width, (event.clientY - at.top) / at.height];
      const boxes = narrow && matchMedia(narrow.media).matches ? figure.narrow : figure.wide;
      const found = told(figure, boxes, place, at);
      tip.hidden = true;
      if (found) show(tip, found, event.clientX + 12, event.clientY - 12, event.clientY + 12);
    };
    for (const kind of ["pointermove", "pointerdown"]) image.addEventListener(kind, move);
    for (const kind of ["pointerleave", "pointercancel"]) image.addEventListener(kind, () => (tip.hidden = true));
    if (figure.told.length) image.classList.add("tells");
  }

  makeRowsOpen();
  for (const table of document.querySelectorAll("table")) if (table.tBodies.length === 1 && table.tBodies[0].rows.length > 1) makeSortable(table);
  if (rows.length > 1) makeFilters();
  makeTip();
})();
