import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tap from "tap";
import { twinwire } from "./twinwire-command.ts";

const SOUND = `migrations:
  - name: orders
    listen: { address: "127.0.0.1:6432" }
    old: { url: "postgres://app:hunter2@old/orders" }
    new: { url: "postgres://app@new/orders" }
    auth: { trust: true }
`;

void tap.test("a configuration is shown as it is understood, or its mistakes are", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "twinwire-config-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "t.yaml");

  await writeFile(file, SOUND);
  const sound = await twinwire(["config", "check", "-c", file]);
  t.equal(sound.exitCode, 0);
  t.equal(sound.err, "");
  t.match(sound.out, /^migrations:\n {2}- name: orders\n.*max_pause: 5s\n/s);
  t.match(sound.out, "url: postgres://app:(hidden)@old:5432/orders\n");

  await writeFile(file, SOUND.replace("127.0.0.1", "0.0.0.0"));
  const warned = await twinwire(["config", "check", "-c", file, "--json"]);
  t.equal(warned.exitCode, 0);
  t.equal(
    warned.err,
    `warning: ${file}:6:20 migrations[0].auth.trust: anyone who reaches the listener is let in as any user\n`,
  );
  t.match(JSON.parse(warned.out), { migrations: [{ auth: { trust: true } }] });

  await writeFile(file, SOUND.replace("address", "adress"));
  const wrong = await twinwire(["config", "check", "-c", file]);
  t.equal(wrong.exitCode, 1);
  t.equal(wrong.out, "");
  t.equal(
    wrong.err,
    `error: the configuration is not valid
${file}:3:13 migrations[0].listen.address: is missing
${file}:3:15 migrations[0].listen.adress: unknown key adress: did you mean address?
`,
  );
});

void tap.test("the JSON Schema that is printed is the one on file", async (t) => {
  const printed = await twinwire(["config", "schema"]);
  const onFile: unknown = JSON.parse(await readFile("config/twinwire.schema.json", "utf8"));
  t.strictSame(JSON.parse(printed.out), onFile);
});
