import { readFile } from "node:fs/promises";
import tap from "tap";
import { configJsonSchema } from "../../src/config/schema.ts";
import {
  formatBytes,
  formatDuration,
  formatHostPort,
  parseBytes,
  parseDurationMs,
  parseHostPort,
} from "../../src/config/quantity.ts";
import { isLoopback } from "../../src/config/loopback.ts";
import { nearest } from "../../src/config/nearest.ts";

void tap.test("the JSON Schema on file is that of the code", async (t) => {
  const onFile = JSON.parse(await readFile("config/twinwire.schema.json", "utf8")) as object;
  const told = "regenerate it with: twinwire config schema > config/twinwire.schema.json";
  t.strictSame(onFile, JSON.parse(JSON.stringify(configJsonSchema())), told);
});

void tap.test("quantities are read with their unit, and written as they were read", async (t) => {
  const durations: readonly (readonly [text: string, ms: number | undefined])[] = [
    ["200ms", 200],
    ["5s", 5000],
    ["1.5s", 1500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["0s", 0],
    ["5", undefined],
    ["5 s", undefined],
    ["-5s", undefined],
    ["5S", undefined],
    ["1e3s", undefined],
    ["5constructor", undefined],
    ["", undefined],
  ];
  for (const [text, ms] of durations) t.equal(parseDurationMs(text), ms, text);
  const sizes: readonly (readonly [text: string, bytes: number | undefined])[] = [
    ["512B", 512],
    ["1kB", 1000],
    ["64KiB", 65_536],
    ["8MiB", 8_388_608],
    ["1.5GiB", 1_610_612_736],
    ["8MB", 8_000_000],
    ["8mb", undefined],
    ["8M", undefined],
    ["8", undefined],
  ];
  for (const [text, bytes] of sizes) t.equal(parseBytes(text), bytes, text);
  for (const ms of [0, 1, 200, 1000, 90_000, 120_000, 3_600_000, 5_400_001]) {
    t.equal(parseDurationMs(formatDuration(ms)), ms, formatDuration(ms));
  }
  for (const bytes of [0, 1, 1024, 1536, 8_388_608, 8_388_609]) {
    t.equal(parseBytes(formatBytes(bytes)), bytes, formatBytes(bytes));
  }
});

void tap.test("addresses are read and written alike", async (t) => {
  for (const text of ["127.0.0.1:6432", "[::1]:0", "localhost:65535", "[fe80::1%eth0]:1"]) {
    const address = parseHostPort(text);
    t.equal(address && formatHostPort(address), text);
  }
  for (const text of ["127.0.0.1", ":6432", "::1:6432", "[::1]", "a:b:1", "a:70000", "u@h:1"]) {
    t.equal(parseHostPort(text), undefined, text);
  }
});

void tap.test("loopback is told from what others can reach", async (t) => {
  for (const host of ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"]) {
    t.equal(isLoopback(host), true, host);
  }
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "example.test", "127.0.0.1.evil.test", ""]) {
    t.equal(isLoopback(host), false, host);
  }
});

void tap.test("the nearest word is what was most likely meant, or none", async (t) => {
  const words = ["max_pause", "max_lag", "address", "tls"];
  const expected: readonly (readonly [word: string, meant: string | undefined])[] = [
    ["maxPause", "max_pause"],
    ["MAX-PAUSE", "max_pause"],
    ["max_puase", "max_pause"],
    ["adress", "address"],
    ["tsl", undefined],
    ["colour", undefined],
    ["", undefined],
  ];
  for (const [word, meant] of expected) t.equal(nearest(word, words), meant, word);
});
