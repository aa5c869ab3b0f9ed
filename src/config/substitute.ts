import type { Path, Problem } from "./problem.ts";
import type { Source } from "./source.ts";
import type { FileTexts } from "./pem.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** `$${` stands for `${`; `${NAME}` for a variable; `${file:…}` for a file's content. */
const REFERENCE = /\$\$\{|\$\{([^}]*)\}?/g;

/** The files that `${file:…}` refers to, anywhere in the document. */
export function referencedFiles(source: Source): string[] {
  return source.texts.flatMap(({ scalar }) =>
    [...scalar.value.matchAll(REFERENCE)].flatMap(([, name]) =>
      name?.startsWith("file:") === true ? [name.slice("file:".length)] : [],
    ),
  );
}

/** Replaces every reference in the document's texts. Where one cannot be, the text stays and a problem says which. */
export function substitute(source: Source, environment: Environment, files: FileTexts): Problem[] {
  const problems: Problem[] = [];
  for (const { path, scalar } of source.texts) {
    const wrong = (message: string): string => {
      problems.push(problem(path, message));
      return "";
    };
    const value = scalar.value.replaceAll(REFERENCE, (whole, name: string | undefined) => {
      if (name === undefined) return "${";
      if (!whole.endsWith("}")) return wrong("a ${ is not closed: write $${ for the characters");
      return name.startsWith("file:")
        ? (withoutLastNewline(files.get(name.slice("file:".length))) ??
            wrong(`the file ${name.slice("file:".length)} cannot be read`))
        : variable(name, environment, wrong);
    });
    scalar.value = value;
  }
  return problems;
}

function variable(
  name: string,
  environment: Environment,
  wrong: (message: string) => string,
): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    return wrong("expected ${NAME} or ${file:/path}: write $${ for the characters");
  }
  return environment[name] ?? wrong(`the environment variable ${name} is not set`);
}

/** Editors and `echo` end a file with a newline that is no part of the secret. */
function withoutLastNewline(text: string | undefined): string | undefined {
  return text?.replace(/\r?\n$/, "");
}

function problem(path: Path, message: string): Problem {
  return { path, at: "value", message };
}
