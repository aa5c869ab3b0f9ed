import { createHash } from "node:crypto";
import { MARKUP } from "./markup.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** The status page: one document that loads nothing, and the policy under which only its own code runs. */
export function statusPage(): { readonly text: string; readonly contentSecurityPolicy: string } {
  const text = MARKUP.replace("/*style*/", () => STYLE).replace("/*script*/", () => SCRIPT);
  const contentSecurityPolicy = [
    "default-src 'none'",
    `style-src '${hash(STYLE)}'`,
    `script-src '${hash(SCRIPT)}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return { text, contentSecurityPolicy };
}

function hash(content: string): string {
  return `sha256-${createHash("sha256").update(content).digest("base64")}`;
}
