/**
 * Certificates for tests only: their private keys are published here and protect nothing. They
 * are valid from 2020 to 2119 and made with the OpenSSL command line: two authorities (EC P-256),
 * and leaves signed by the first one with the digest and names said at each.
 */

/** The authority that signed all leaves below. */
export const authorityCert: string = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR6gAwIBAgICEAAwCgYIKoZIzj0EAwIwIjEgMB4GA1UEAwwXVHdpbndp
cmUgdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMCIxIDAeBgNVBAMMF1R3aW53aXJlIHRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEXWHw8VJU9AqIBY+dinMKHv7bmBv0jwIUvdOzSo7c
AArLNy1Zy9RoYTBt++Y67/D6iH0j5PL4xsv+3pWAhXsg16NCMEAwDwYDVR0TAQH/
BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFMOcHCQBLftsoqkhZtVJ
H2M0na0SMAoGCCqGSM49BAMCA0gAMEUCIQCZ4ADR2gamWrWejhIxGAebKucgjPP1
f+/PcwcuNi/N9gIgBLO4PVgCWglXhqmHFVdt9Ihyc3pnD51UHJaV3OHADMs=
-----END CERTIFICATE-----
`;

/** An authority that signed none of them. */
export const strangerCert: string = `-----BEGIN CERTIFICATE-----
MIIBdzCCARygAwIBAgICEAAwCgYIKoZIzj0EAwIwITEfMB0GA1UEAwwWVHdpbndp
cmUgdGVzdCBzdHJhbmdlcjAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
MFowITEfMB0GA1UEAwwWVHdpbndpcmUgdGVzdCBzdHJhbmdlcjBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABM6I+hUfo8wEMZB9FevNJUBShfzPw3cN/zLaOlOWmLwo
u87y9zaWdEirvzFvI7Tzt26lX6XfoI9nleoq/gPOMPWjQjBAMA8GA1UdEwEB/wQF
MAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBTW6ubGe93A8JnFD+vqrxkv
i6VAfjAKBggqhkjOPQQDAgNJADBGAiEAxvlIw2dGvMvRYi+fa3WDUDv43UsujifA
t+9Uz//UBVcCIQDS7dOgr77G+klErcVfuzV2bsmM1A8pxYs+2OtSR7oY3w==
-----END CERTIFICATE-----
`;

/** For localhost and 127.0.0.1; signed with SHA-256. */
export const serverCert: string = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgICEAEwCgYIKoZIzj0EAwIwIjEgMB4GA1UEAwwXVHdpbndp
cmUgdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABJrqYf+5kpvEBmdPeVMtbnhY1GcqXu2SXIvkU2ZLBsX6zd/XYD9j63PkOLLY
ix+Q3nuT2vp8el1UisZwrpiD42ujczBxMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcE
fwAAATATBgNVHSUEDDAKBggrBgEFBQcDATAdBgNVHQ4EFgQUC7Ya9RjUUYVwFhkS
2OTjHioU+AAwHwYDVR0jBBgwFoAUw5wcJAEt+2yiqSFm1UkfYzSdrRIwCgYIKoZI
zj0EAwIDSQAwRgIhAKT+7/upRQ492H8m9yiEFvpgMLkl2FQMheTzGNNCuE6VAiEA
0We5Cj2xoRvGGocrGwWti58nrVwsjYLXQFbqk68PamA=
-----END CERTIFICATE-----
`;

/** The key of `serverCert`. */
export const serverKey: string = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHgXTkh3px6uR7RsV
54wOSO2KCQTjPQmQ9C7JP/vfwcChRANCAASa6mH/uZKbxAZnT3lTLW54WNRnKl7t
klyL5FNmSwbF+s3f12A/Y+tz5Diy2IsfkN57k9r6fHpdVIrGcK6Yg+Nr
-----END PRIVATE KEY-----
`;

/** For elsewhere.test and *.wild.test, and so never for this machine; signed with SHA-512. */
export const elsewhereCert: string = `-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgICEAIwCgYIKoZIzj0EAwQwIjEgMB4GA1UEAwwXVHdpbndp
cmUgdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMBkxFzAVBgNVBAMMDmVsc2V3aGVyZS50ZXN0MFkwEwYHKoZIzj0CAQYIKoZI
zj0DAQcDQgAEheSyelU5s4/Ympi10uxdjYM5JbqJhQg68K12725QU9q/vnG4gpZT
HG4LH3ydiykRzo+VEh08pawPTPEZNoIGMqNqMGgwJgYDVR0RBB8wHYIOZWxzZXdo
ZXJlLnRlc3SCCyoud2lsZC50ZXN0MB0GA1UdDgQWBBSNycfzuGF6DRq8siGVwp/j
tun/KjAfBgNVHSMEGDAWgBTDnBwkAS37bKKpIWbVSR9jNJ2tEjAKBggqhkjOPQQD
BANIADBFAiAXqGOpCkE56oa9zMKqehyltHpEWg7hLK6ad9DreqBd+AIhAP4m81x9
m8w58ZvGONS26PnFEclEdyyDbxANgO3Khwe6
-----END CERTIFICATE-----
`;

/** The key of `elsewhereCert`. */
export const elsewhereKey: string = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUQyI2+4Pc+i130Fl
HPp8b634FJ7GoFVFO2LhHNpHgrOhRANCAASF5LJ6VTmzj9iamLXS7F2NgzkluomF
CDrwrXbvblBT2r++cbiCllMcbgsffJ2LKRHOj5USHTylrA9M8Rk2ggYy
-----END PRIVATE KEY-----
`;

/** Common name localhost and no alternative names, as old certificates are; signed with SHA-384. */
export const nameOnlyCert: string = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgICEAMwCgYIKoZIzj0EAwMwIjEgMB4GA1UEAwwXVHdpbndp
cmUgdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABB/5KEjnbNLgl2S+cC4hLM35szCBlwKz0PFAExJ0l6q+9PmYbiCa+SsBp0CW
4d5znkVXBZhCnKVPZf5v7NIg/MejTTBLMAkGA1UdEwQCMAAwHQYDVR0OBBYEFJC6
cVMVJI1ETS5vXNgV7XP6BSvZMB8GA1UdIwQYMBaAFMOcHCQBLftsoqkhZtVJH2M0
na0SMAoGCCqGSM49BAMDA0gAMEUCIQDkqqtz6P0e/qoYzO5XYSTtGRyLJi9OX/So
7LCNj7YK1gIgQVO86O/OyQUaG7voqWltkxnZzEHUTgSRqg8+t99HLxY=
-----END CERTIFICATE-----
`;

/** The key of `nameOnlyCert`. */
export const nameOnlyKey: string = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzx7QGS3SFlwWQs9R
vdNTEaS2gUdkfM+Pb8qWaHmfmLKhRANCAAQf+ShI52zS4JdkvnAuISzN+bMwgZcC
s9DxQBMSdJeqvvT5mG4gmvkrAadAluHec55FVwWYQpylT2X+b+zSIPzH
-----END PRIVATE KEY-----
`;

/** A client's, for the database user app_cert. */
export const clientCert: string = `-----BEGIN CERTIFICATE-----
MIIBfzCCASSgAwIBAgICEAQwCgYIKoZIzj0EAwIwIjEgMB4GA1UEAwwXVHdpbndp
cmUgdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMBMxETAPBgNVBAMMCGFwcF9jZXJ0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAELgI0Emkj9hnvvcOsQPG0h4bwJCzDQKxeD0o6FdNeDy/bpsGbiLeAcRnyMmEI
+85jv/eYTEuXql8+KfYhnUHJRqNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYD
VR0OBBYEFLd5uGh5H9cApTS9QGHjpiJiLj2ZMB8GA1UdIwQYMBaAFMOcHCQBLfts
oqkhZtVJH2M0na0SMAoGCCqGSM49BAMCA0kAMEYCIQCO0Ir/HRxymPZ/dJjJearN
cVdqzJeBhgSGi82gU/cmwgIhAJhmnVnlqwwwhV+qXol2ogcUVW9KBA41s7Ibssbp
/4Dk
-----END CERTIFICATE-----
`;

/** The key of `clientCert`. */
export const clientKey: string = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEzafPNDme5o0FNtW
8QjS3JPU/q5LELcKIU1vYBEZLAWhRANCAAQuAjQSaSP2Ge+9w6xA8bSHhvAkLMNA
rF4PSjoV014PL9umwZuIt4BxGfIyYQj7zmO/95hMS5eqXz4p9iGdQclG
-----END PRIVATE KEY-----
`;
