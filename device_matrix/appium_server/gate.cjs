"use strict";
// Starts Appium, and refuses every session that does not have the device matrix's own form. A capability may name a
// program to run (goog:chromeOptions.binary, appium:executable), a folder of programs, a file to write, or a browser
// switch that runs a program (--renderer-cmd-prefix). RINGFENCE_APPIUM_POLICY holds the allowed form, as JSON.

const fs = require("node:fs");
const path = require("node:path");

const appium = require("./node_modules/appium/build/lib/main.js");
const { AppiumDriver } = require("./node_modules/appium/build/lib/appium.js");
const { errors } = require("./node_modules/@appium/base-driver");

const policy = JSON.parse(process.env.RINGFENCE_APPIUM_POLICY);
const CAPABILITIES = new Set(policy.capabilities);
const BROWSER_OPTIONS = new Set(policy.browser_options);
const SWITCHES = new Set(policy.switches);

function refuse(reason) {
  throw new errors.InvalidArgumentError(`refused by ringfence: ${reason}`);
}

/** Says whether `file` belongs to us and nobody else has rights to it. */
function isOursAlone(file, isKind) {
  try {
    const found = fs.lstatSync(file);
    return isKind(found) && found.uid === process.getuid() && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

/** Refuses every program except `name` in a scratch folder of ringfence. */
function checkProgram(file, name) {
  const folder = path.dirname(String(file));
  const isScratch = path.dirname(folder) === policy.scratch && path.basename(String(file)) === name;
  const isFolderOurs = isScratch && isOursAlone(folder, (found) => found.isDirectory());
  if (!isFolderOurs || !isOursAlone(file, (found) => found.isFile())) {
    refuse(`'${file}' is not a program that ringfence wrote`);
  }
}

function checkSwitch(argument) {
  const [name, ...rest] = String(argument).split("=");
  if (!SWITCHES.has(name)) refuse(`the browser's switch '${name}' is not one that ringfence gives`);
  if (name === "--user-data-dir" && !rest.join("=").startsWith(`${policy.scratch}/`)) {
    refuse("a browser's profile lies in a scratch folder of ringfence");
  }
}

function checkEntry(entry) {
  for (const name of Object.keys(entry)) {
    if (!CAPABILITIES.has(name)) refuse(`the capability '${name}' is not one that ringfence asks for`);
  }
  if ("appium:executable" in entry) checkProgram(entry["appium:executable"], policy.chromedriver);
  const options = entry["goog:chromeOptions"] ?? {};
  for (const name of Object.keys(options)) {
    if (!BROWSER_OPTIONS.has(name)) refuse(`the browser's option '${name}' is not one that ringfence gives`);
  }
  if ("binary" in options) checkProgram(options.binary, policy.browser);
  for (const argument of options.args ?? []) checkSwitch(argument);
}

function check(capabilities) {
  const entries = [capabilities.alwaysMatch ?? {}, ...(capabilities.firstMatch ?? [])];
  entries.forEach(checkEntry);
  const asked = Object.assign({}, ...entries);
  // Appium would search the machine for a program that is not named.
  if (!("appium:executable" in asked)) refuse("a session names its chromedriver");
  if (!asked["goog:chromeOptions"]?.binary) refuse("a session names its browser");
}

const createSession = AppiumDriver.prototype.createSession;
AppiumDriver.prototype.createSession = async function (...given) {
  const described = given.filter((capabilities) => capabilities !== null && typeof capabilities === "object");
  if (described.length === 0) refuse("a session without capabilities");
  described.forEach(check);
  return createSession.apply(this, given);
};

void appium.main();
