// Arranges Locust's start form: short labels, groups, help behind a question mark, seldom used fields behind "More".
// Locust draws the form with React, which sets classes anew at any time. So nothing of it is moved or removed here:
// its elements get texts and a data-rf attribute, and our own elements are added beside them. The order of the fields
// is that of the options on the command line.

const layout = JSON.parse(document.getElementById("ringfence-start-form").textContent);
const TARGET_HELP = "The target of every run of this process. To load another, start Locust with --target.";
const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function add(parent, tag, properties, before = null) {
  const made = Object.assign(document.createElement(tag), properties);
  parent.insertBefore(made, before);
  return made;
}

// The ancestor of `element` that stands directly in `container`.
function childOf(container, element) {
  while (element.parentElement !== container) element = element.parentElement;
  return element;
}

function setLabel(field, text) {
  const label = field.querySelector("label"), notch = field.querySelector("legend span");
  if (label) label.textContent = text;
  if (notch) notch.textContent = text;
}

function addHelp(field, label, text) {
  const id = `ringfence-help-${label.replaceAll(/\W+/g, "-")}`;
  const button = add(field, "button", { type: "button", className: "rf-help", textContent: "?" });
  button.setAttribute("aria-label", `Help: ${label}`);
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", id);
  const help = add(field, "p", { id, hidden: true, textContent: `${text}.` });
  field.querySelector("input, select").setAttribute("aria-describedby", id);
  button.onclick = () => {
    help.hidden = !help.hidden;
    button.setAttribute("aria-expanded", String(!help.hidden));
  };
}

// An empty field takes the plan's value, and shows it for as long as the plan is the one of the command line.
function showPlanned(field, planned) {
  const input = field.querySelector("input"), choice = field.querySelector("select option[value=plan]");
  if (input) input.placeholder = planned || "from the plan";
  if (choice) choice.textContent = planned ? `${planned} (plan)` : "from the plan";
}

function fieldNamed(name) {
  return document.querySelector(`form [name="${camelCase(name)}"]`);
}

function watchPlan(form) {
  const plan = fieldNamed("plan"), first = plan.value;
  form.addEventListener("input", () => {
    for (const { name, planned } of layout.fields) {
      const input = fieldNamed(name);
      if (input && name !== "plan") showPlanned(input.closest("[data-rf]"), plan.value === first ? planned : "");
    }
  });
}

function addMoreButton(container, count, before) {
  const text = `${layout.more} (${count})`;
  const more = add(container, "button", { type: "button", className: "rf-more", textContent: text }, before);
  more.setAttribute("aria-expanded", "false");
  more.onclick = () => {
    container.dataset.rf = container.dataset.rf === "fields" ? "all-fields" : "fields";
    more.setAttribute("aria-expanded", String(container.dataset.rf === "all-fields"));
  };
}

function arrange(form, container) {
  container.dataset.rf = "fields";
  for (const group of layout.groups) {
    const members = layout.fields.filter(({ name, group: own }) => own === group && fieldNamed(name));
    if (!members.length) continue;
    const first = childOf(container, fieldNamed(members[0].name));
    if (group === layout.more) addMoreButton(container, members.length, first);
    else add(container, "h4", { textContent: group }, first);
    for (const { name, label, help, planned } of members) {
      const field = childOf(container, fieldNamed(name));
      field.dataset.rf = group === layout.more ? "extra" : "field";
      setLabel(field, label);
      if (name !== "plan") showPlanned(field, planned);
      addHelp(field, label, help);
    }
  }
  watchPlan(form);
}

// Locust's own fields: the host is only shown, and what a load shape decides itself is left out.
function lockHost() {
  for (const host of document.querySelectorAll("input[name=host]")) {
    if (host.readOnly) continue;
    host.readOnly = true;
    const field = host.closest("form > * > *") ?? host.parentElement;
    setLabel(field, "Target");
    field.dataset.rf = "target";
    addHelp(field, "Target", TARGET_HELP.slice(0, -1));
  }
  for (const name of ["userCount", "spawnRate", "runTime"]) {
    const input = document.querySelector(`form input[name=${name}]:disabled`);
    if (input) input.closest("[title]").dataset.rf = "unused";
  }
}

function look() {
  const plan = fieldNamed("plan"), form = plan?.form;
  lockHost();
  if (!form || form.dataset.ringfence) return;
  form.dataset.ringfence = "arranged";
  const fields = plan.closest("[class*=MuiAccordionDetails]").firstElementChild;
  arrange(form, fields);
  const section = plan.closest("[class*=MuiAccordion-root]"), opener = section.querySelector("button");
  section.dataset.rf = "section";
  opener.querySelector("p").textContent = "Load test";
  if (opener.getAttribute("aria-expanded") === "false") opener.click();
}

new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
look();
