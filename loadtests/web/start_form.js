// Locust's Host field shows the target, which the command line named: it is there to be read.
const why = "The target of every run of this process. To load another, start Locust with --target.";

function lock() {
  for (const field of document.querySelectorAll("input[name=host]")) {
    if (!field.readOnly) {
      field.readOnly = true;
      field.title = why;
    }
  }
}

new MutationObserver(lock).observe(document.documentElement, { childList: true, subtree: true });
lock();
