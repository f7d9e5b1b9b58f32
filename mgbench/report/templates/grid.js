"use strict";
// The tables: DataTables sorts, filters, pages and hides; what is particular to results is here. All text reaches the page
// as text: cells are escaped, everything else is set as textContent.
(() => {
  const PAGE = 25;
  const FACET_VALUES = 40;
  const SHORT = 24; // characters that are kept in one line
  const source = document.getElementById("data");
  if (!source) return;
  const { grids, details, swatches, file } = JSON.parse(source.textContent);

  for (const { columns } of Object.values(grids)) {
    for (const column of columns) column.cells = column.codes.map((code) => column.texts[code]);
  }

  const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

  function make(tag, text = "", attributes = {}, ...children) {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // "FID[digits_cnn]" may go on in the next line at its bracket.
  const breakable = (text) => text.split(/(?=\[)/).flatMap((part, place) => (place ? [make("wbr"), part] : [part]));

  // Where there is no number a row comes last, whichever way the column is sorted.
  const order = (sign) => (a, b) => (a === null) - (b === null) || sign * (a - b);
  DataTable.type("missing-last", "order", { asc: order(1), desc: order(-1) });

  function swatch(name) {
    const colours = swatches[name];
    return colours ? `<i class="swatch" style="--light:${colours[0]};--dark:${colours[1]}"></i>` : "";
  }

  function render(column) {
    const marked = new Set(column.marked), tied = new Set(column.tied);
    return (_, type, [row]) => {
      if (type === "display") {
        const text = escape(column.cells[row]);
        return (column.swatch ? swatch(column.cells[row]) : "") + (marked.has(row) ? `<strong>${text}</strong>` : tied.has(row) ? `<u>${text}</u>` : text);
      }
      return type === "filter" || !column.numbers ? column.cells[row] : column.numbers[row];
    };
  }

  function definition(column) {
    return {
      data: null,
      render: render(column),
      visible: !column.hidden,
      type: column.numbers ? "missing-last" : "string",
      className: column.numbers ? "number" : column.texts.every(({ length }) => length <= SHORT) ? "text short" : "text",
    };
  }

  const opener = {
    data: null,
    orderable: false,
    searchable: false,
    className: "opener",
    render: (_, type, [row]) =>
      type === "display" ? `<button type="button" class="more" aria-expanded="false" aria-label="Details of row ${row + 1}"></button>` : "",
  };

  function list(fields, members) {
    const terms = make("dl");
    for (const { title, values, codes } of fields) {
      const found = codes ? [...new Set(members.map((member) => codes[member]))].filter((code) => code >= 0) : [0];
      if (found.length) terms.append(make("dt", title), make("dd", "", {}, ...found.map((code) => make("span", values[code]))));
    }
    return terms;
  }

  function detail(members) {
    const box = make("div", "", { class: "detail" });
    for (const { title, fields, verbatim } of details) {
      const terms = list(fields, members);
      const look = verbatim ? { class: "verbatim" } : {};
      if (terms.childElementCount) box.append(make("section", "", look, make("h4", title), terms));
    }
    return box;
  }

  function csv(table, columns) {
    const chosen = columns.filter((_, place) => table.column(place + table.lead).visible());
    const quote = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    // A spreadsheet would take such text for a formula.
    const plain = (text) => quote(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
    const cell = (column, row) => (column.numbers ? String(column.numbers[row] ?? "") : plain(column.cells[row]));
    const rows = table.rows({ search: "applied", order: "applied" }).data().toArray();
    const lines = [chosen.map((column) => plain(column.head)), ...rows.map(([row]) => chosen.map((column) => cell(column, row)))];
    return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
  }

  function save(name, text) {
    const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    make("a", "", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  // A menu of its values for every column that has a few of them.
  function facets(id, table, columns) {
    const chosen = new Map();
    const menus = [];
    for (const column of columns.filter(({ facet }) => facet)) {
      const values = [...column.texts];
      if (values.length < 2 || values.length > FACET_VALUES) continue;
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      const options = values.sort(compare).map((value) => make("option", value, { value }));
      const select = make("select", "", {}, make("option", "all", { value: "" }), ...options);
      const kept = `${id}.only.${column.head}`;
      const apply = () => {
        if (select.selectedIndex) chosen.set(column, select.value);
        else chosen.delete(column);
      };
      select.addEventListener("change", () => { apply(); address.write(kept, select.value); table.draw(); });
      if (values.includes(address.get(kept))) { select.value = address.get(kept); apply(); }
      menus.push(make("label", "", { class: "facet" }, make("span", column.head), select));
    }
    table.search.fixed("facets", (_, [row]) => [...chosen].every(([column, value]) => column.cells[row] === value));
    return menus;
  }

  function menuOfColumns(table, columns) {
    const boxes = columns.map((column, place) => {
      const box = make("input", "", { type: "checkbox" });
      box.checked = !column.hidden;
      box.addEventListener("change", () => table.column(place + table.lead).visible(box.checked));
      return make("label", "", {}, box, make("span", column.head));
    });
    const menu = make("details", "", { class: "menu" }, make("summary", "Columns"), make("div", "", { class: "choices" }, ...boxes));
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.open) { menu.open = false; menu.firstElementChild.focus(); }
    });
    document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    return menu;
  }

  function toolbar(id, grid, table) {
    const search = make("input", "", { type: "search", placeholder: "Search", "aria-label": `Search: ${grid.title}` });
    search.value = address.get(`${id}.search`);
    table.search(search.value);
    search.addEventListener("input", () => { address.write(`${id}.search`, search.value); table.search(search.value).draw(); });
    const button = make("button", "Save CSV", { type: "button", class: "csv" });
    button.addEventListener("click", () => save(`${file}-${id}.csv`, csv(table, grid.columns)));
    const tools = make("span", "", { class: "tools" }, menuOfColumns(table, grid.columns), button);
    return make("div", "", { class: "toolbar" }, search, ...facets(id, table, grid.columns), tools);
  }

  // The order that the address asks for, as "head:asc".
  function orderOf(id, { columns, details }) {
    const [, head, way] = address.get(`${id}.sort`).match(/^(.*):(asc|desc)$/) ?? [];
    const place = columns.findIndex((column) => column.head === head);
    return place < 0 ? [] : [[place + (details ? 1 : 0), way]];
  }

  function keepOrder(id, table, { columns }) {
    const [first] = table.order();
    const [place, way] = Array.isArray(first) ? first : [first?.idx, first?.dir];
    const column = columns[place - table.lead];
    address.write(`${id}.sort`, column && way ? `${column.head}:${way}` : "");
  }

  function build(id, grid) {
    const size = grid.columns[0].cells.length;
    const heads = grid.columns.map(({ head }) => make("th", "", { scope: "col" }, ...breakable(head)));
    if (grid.details) heads.unshift(make("th", "", { scope: "col", "aria-label": "Details" }));
    const node = make("table", "", { "aria-label": grid.title }, make("thead", "", {}, make("tr", "", {}, ...heads)));
    const scroll = make("div", "", { class: "scroll", tabindex: "0", role: "region", "aria-label": grid.title }, node);
    const place = document.getElementById(`grid-${id}`);
    place.append(scroll);
    const paged = size > PAGE;
    const table = new DataTable(node, {
      data: Array.from({ length: size }, (_, row) => [row]),
      columns: [...(grid.details ? [opener] : []), ...grid.columns.map(definition)],
      order: orderOf(id, grid),
      autoWidth: false,
      paging: paged,
      pageLength: PAGE,
      lengthMenu: [PAGE, 100, 500],
      layout: { topStart: null, topEnd: null, bottomStart: paged ? ["info", "pageLength"] : "info", bottomEnd: paged ? "paging" : null },
      language: {
        info: "_START_ to _END_ of _TOTAL_ rows", infoEmpty: "no row", infoFiltered: "(of _MAX_)",
        zeroRecords: "No row is like that.", lengthMenu: "_MENU_ a page",
      },
    });
    table.lead = grid.details ? 1 : 0;
    // What is below the table stays where it is while the table scrolls sideways.
    const below = place.querySelectorAll(".dt-layout-row:not(.dt-layout-table)");
    place.prepend(toolbar(id, grid, table));
    table.draw();
    table.on("order", () => keepOrder(id, table, grid));
    place.append(...below);
    if (grid.details) node.tBodies[0].addEventListener("click", (event) => toggle(event.target.closest("button.more"), table, grid));
  }

  function toggle(button, table, grid) {
    if (!button) return;
    const row = table.row(button.closest("tr"));
    const open = !row.child.isShown();
    if (open) {
      const [place] = row.data();
      row.child(detail(grid.members ? grid.members[place] : [place]), "details").show();
    } else row.child.hide();
    button.setAttribute("aria-expanded", String(open));
  }

  // One table is shown at a time, and each is built when it is first asked for.
  const tabs = [...document.querySelectorAll("[role=tab][data-grid]")];
  const built = new Set();

  function show(id) {
    if (!built.has(id)) { built.add(id); build(id, grids[id]); }
  }

  if (tabs.length) tabbed(tabs, "table", (tab) => show(tab.dataset.grid));
  else show(Object.keys(grids)[0]);
})();
