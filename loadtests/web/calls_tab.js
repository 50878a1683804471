// Marks the groups of the Calls tab's rows, and links its first row to the page with live charts.
// Locust draws the table with React: classes and links are added to its cells, nothing is replaced.

const TITLE = "Calls", CHARTS_ROW = "Live charts", PROBLEM_ROW = "Not started";

function link(cell, isWanted) {
  const known = cell.querySelector("a.rf-charts");
  if (known && !isWanted) known.remove();
  if (known || !isWanted) return;
  const made = Object.assign(document.createElement("a"), { className: "rf-charts", href: "./calls", textContent: "Open" });
  made.setAttribute("aria-label", "Open the live charts");
  cell.append(made);
}

function look() {
  for (const table of document.querySelectorAll("table")) {
    const isOurs = table.querySelector("th")?.textContent === TITLE;
    if (table.classList.contains("rf-calls") !== isOurs) table.classList.toggle("rf-calls", isOurs);
    if (!isOurs) continue;
    for (const row of table.querySelectorAll("tbody tr")) {
      const texts = [...row.cells].map((cell) => cell.firstChild?.nodeValue ?? "");
      row.classList.toggle("rf-group", Boolean(texts[0]) && !texts.slice(1).some(Boolean));
      row.classList.toggle("rf-problem", texts[0] === PROBLEM_ROW);
      link(row.cells[1], texts[0] === CHARTS_ROW);
    }
  }
}

new MutationObserver(look).observe(document.documentElement, { childList: true, characterData: true, subtree: true });
look();
