import t from "tap";
import {
  authenticationCleartext,
  authenticationOk,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  readPassword,
  readSaslInitial,
} from "../../src/wire/postgres/auth-messages.ts";
import {
  backendKeyData,
  negotiateProtocolVersion,
  parameterStatus,
  readyForQuery,
} from "../../src/wire/postgres/backend-messages.ts";
import {
  errorFields,
  errorResponse,
  noticeResponse,
  oldErrorResponse,
} from "../../src/wire/postgres/error-response.ts";
import { decodeStartup, encodeStartup } from "../../src/wire/postgres/startup.ts";
import type { StartupPacket } from "../../src/wire/postgres/startup.ts";

/** Hex with a comment for each field: what stands after `#` is left out. */
function bytes(annotated: string): Buffer {
  return Buffer.from(annotated.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, ""), "hex");
}

const backend: readonly [name: string, frame: Buffer, golden: string][] = [
  ["AuthenticationOk", authenticationOk(), "52 00000008 00000000 # R, length, 0"],
  ["AuthenticationCleartextPassword", authenticationCleartext(), "52 00000008 00000003"],
  [
    "AuthenticationSASL",
    authenticationSasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]),
    `52 0000002a 0000000a                          # R, length, 10
     53 43 52 41 4d 2d 53 48 41 2d 32 35 36 2d 50 4c 55 53 00 # SCRAM-SHA-256-PLUS
     53 43 52 41 4d 2d 53 48 41 2d 32 35 36 00     # SCRAM-SHA-256
     00                                            # end of the list`,
  ],
  [
    "AuthenticationSASLContinue",
    authenticationSaslContinue("r=a\u00ff"),
    "52 0000000c 0000000b 723d61ff # R, length, 11, data as bytes",
  ],
  ["AuthenticationSASLFinal", authenticationSaslFinal("v=AA"), "52 0000000c 0000000c 763d4141"],
  [
    "BackendKeyData of protocol 3.0",
    backendKeyData(-2, Buffer.from("01020304", "hex")),
    "4b 0000000c fffffffe 01020304 # K, length, process id, secret key",
  ],
  [
    "BackendKeyData of protocol 3.2",
    backendKeyData(7, Buffer.alloc(32, 0xab)),
    `4b 00000028 00000007 ${"ab".repeat(32)}`,
  ],
  ["ReadyForQuery", readyForQuery("T"), "5a 00000005 54 # Z, length, in a transaction"],
  [
    "ParameterStatus",
    parameterStatus("TimeZone", "\u00e9"),
    "53 00000010 54696d655a6f6e6500 c3a900 # S, length, name, value in UTF-8",
  ],
  [
    "NegotiateProtocolVersion",
    negotiateProtocolVersion(2, ["_pq_.a"]),
    `76 00000013          # v, length
     0003 0002            # the version to go on with
     00000001             # options that are not known
     5f 70 71 5f 2e 61 00 # _pq_.a`,
  ],
  [
    "ErrorResponse",
    errorResponse({ severity: "FATAL", sqlstate: "28P01", message: "no", detail: "d", hint: "h" }),
    `45 00000024           # E, length
     53 464154414c 00      # S FATAL
     56 464154414c 00      # V FATAL
     43 3238503031 00      # C 28P01
     4d 6e6f 00            # M no
     44 64 00              # D d
     48 68 00              # H h
     00                    # no more fields`,
  ],
  [
    "NoticeResponse",
    noticeResponse({ severity: "NOTICE", sqlstate: "00000", message: "n" }),
    "4e 0000001f 534e4f5449434500 564e4f5449434500 43303030303000 4d6e00 00",
  ],
  ["an error for protocol 2", oldErrorResponse("x"), "45 464154414c3a2020780a00 # E, text, zero"],
];

void t.test("backend messages are laid out as documented", async (test) => {
  for (const [name, frame, golden] of backend) {
    test.equal(frame.toString("hex"), bytes(golden).toString("hex"), name);
  }
});

const packets: readonly [name: string, packet: StartupPacket, golden: string][] = [
  ["SSLRequest", { type: "ssl_request" }, "00000008 04d2162f # length, 1234.5679"],
  ["GSSENCRequest", { type: "gssenc_request" }, "00000008 04d21630 # length, 1234.5680"],
  [
    "CancelRequest of protocol 3.0",
    { type: "cancel_request", processId: 258, secretKey: Buffer.from("01020304", "hex") },
    "00000010 04d2162e 00000102 01020304 # length, 1234.5678, process id, secret key",
  ],
  [
    "CancelRequest of protocol 3.2",
    { type: "cancel_request", processId: 1, secretKey: Buffer.alloc(256, 9) },
    `0000010c 04d2162e 00000001 ${"09".repeat(256)}`,
  ],
  [
    "StartupMessage",
    {
      type: "startup",
      minor: 2,
      parameters: [
        ["user", "m\u00e9"],
        ["options", ""],
        ["_pq_.x", "1"],
      ],
    },
    `00000024                # length
     0003 0002               # version 3.2
     75736572 00 6dc3a9 00   # user
     6f7074696f6e73 00 00    # options, empty
     5f70715f2e78 00 31 00   # an option of the protocol
     00                      # no more parameters`,
  ],
  ["protocol 2.0", { type: "unsupported", major: 2, minor: 0 }, "00000008 00020000"],
];

void t.test("startup packets are laid out as documented and read back", async (test) => {
  for (const [name, packet, golden] of packets) {
    if (packet.type === "malformed") continue;
    test.equal(encodeStartup(packet).toString("hex"), bytes(golden).toString("hex"), name);
    test.same(decodeStartup(bytes(golden).subarray(4)), packet, name);
  }
});

void t.test("fields of an error are found by their letters", async (test) => {
  const fields = { severity: "ERROR", sqlstate: "42P01", message: "m\u00e9", hint: "h" } as const;
  test.same(
    [...errorFields(errorResponse({ ...fields, detail: "cut\0here" }))],
    [
      ["S", "ERROR"],
      ["V", "ERROR"],
      ["C", "42P01"],
      ["M", "m\u00e9"],
      ["D", "cut"],
      ["H", "h"],
    ],
  );
  for (const broken of ["45000000", "4500000004", "4500000007434141", ""]) {
    test.equal(errorFields(Buffer.from(broken, "hex")).size, 0, `nothing in ${broken}`);
  }
});

void t.test("answers of a client during its login are read or refused", async (test) => {
  for (const [why, body, outcome] of [
    ["a mechanism and data", "4100 00000002 6162", { kind: "initial", mechanism: "A", data: "ab" }],
    ["no data", "4100 ffffffff", { kind: "initial", mechanism: "A", data: undefined }],
    ["no end of the name", "41", { kind: "fault", message: "invalid string in message" }],
    ["no length", "4100 0000", { kind: "fault", message: "insufficient data left in message" }],
    [
      "too short",
      "4100 00000003 6162",
      { kind: "fault", message: "insufficient data left in message" },
    ],
    ["negative", "4100 fffffffe", { kind: "fault", message: "insufficient data left in message" }],
    ["too long", "4100 00000001 6162", { kind: "fault", message: "invalid message format" }],
  ] as const) {
    test.same(readSaslInitial(bytes(body)), outcome, why);
  }
  test.same(readPassword(bytes("ff6100")), { kind: "password", password: bytes("ff61") });
  for (const body of ["", "61", "610062", "61006200"]) {
    test.equal(readPassword(bytes(body)).kind, "fault", `password packet ${body}`);
  }
});
