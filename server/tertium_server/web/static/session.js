// What all pages for people share: who looks, requests that show it, the form to sign in, and the line that says what is wrong.

export const $ = (id) => document.getElementById(id);

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const PATIENCE = 20_000; // milliseconds; a connection that is gone without a word would keep the page waiting for minutes

let token = sessionStorage.getItem("token") || "";

function keep(found) {
  token = found;
  sessionStorage.setItem("token", token);
}

export const known = () => token !== "";

export async function ask(address, body = {}, options = {}) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", "x-tertium": "1", authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
    ...options,
  });
  const content = await response.json();
  if (!response.ok) throw new Refused(response.status, content.error);
  return content;
}

export function fetchShowing(address) {
  return fetch(address, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(PATIENCE) });
}

export function alarm(message) {
  $("alarm").textContent = message;
  $("alarm").hidden = !message;
}

// Does the work; says what went wrong, and shows the form where nobody has signed in.
export async function guarded(work, show) {
  try {
    await work();
    alarm("");
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      show("door");
      if (document.activeElement !== $("token")) $("token").focus();
      if (token) alarm(error.status === 401 ? "This server does not know that token." : error.message);
    } else {
      alarm(error.status ? error.message : "The server can’t be reached; trying again.");
    }
  }
}

export function onSignIn(act) {
  $("sign_in").addEventListener("submit", (event) => {
    event.preventDefault();
    keep($("token").value.trim());
    $("token").value = "";
    act();
  });
}

function made(kind, attributes, text = "") {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

const form = made("form", { id: "sign_in" });
form.append(
  made("h2", {}, "Sign in"),
  made("label", { for: "token" }, "Your token"),
  made("input", { id: "token", type: "password", autocomplete: "current-password", required: "" }),
  made("button", { type: "submit" }, "Sign in"),
  made("p", {}, "The server made one when it was first started: the file review-token in its data folder. Where it runs with --tokens, yours was given to you."),
);
$("door").replaceChildren(form);

// An address that ends in #token=… signs in, and does not stay in the address bar.
if (location.hash.startsWith("#token=")) {
  keep(decodeURIComponent(location.hash.slice("#token=".length)));
  history.replaceState(null, "", location.pathname);
}
