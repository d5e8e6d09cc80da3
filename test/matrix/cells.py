"""What the verifier matrix must hold: the rules, the formats, the cells that are empty on purpose and why, the advisories."""

FORMATS = {
    "gpu": "NVIDIA GPU report (Hopper, Blackwell)",
    "switch": "NVIDIA NVSwitch report (LS10)",
    "rim": "NVIDIA driver and VBIOS RIM",
    "snp": "AMD SEV-SNP report",
    "tdx": "Intel TDX quote",
    "tpm": "TPM 2.0 quote and TCG event log",
    "azure": "Azure's HCL report and vTPM quote",
    "jwt": "JWT: NVIDIA's EAT, EAR",
    "cose": "COSE_Sign1, CoRIM",
    "spdm": "SPDM session",
    "composite": "a pod's evidence as one",
}

RULES = {
    1: "The nonce is compared, whole; without an expectation nothing is accepted",
    2: "The signature covers exactly the received bytes",
    3: "Algorithm and curve come from the verifier, never from the evidence",
    4: "The trust anchor is pinned; chains are held to their profile and to the time",
    5: "Signature values in range, curves by name, points on the curve",
    6: "Debug is refused",
    7: "The privilege level is exactly the expected one",
    8: "SNP: firmware levels, chip, signing key, policy, platform",
    9: "TDX: attributes, TCB status, collateral",
    10: "TPM: restricted key, PCR selection, digests, log",
    11: "GPU and CPU are bound to each other, each device once",
    12: "Evidence is bound to the key of the channel",
    13: "Unknown measurements are refused; reference values are genuine and not too old",
    14: "Missing or old collateral is a refusal; time is an argument",
    15: "Parsers: lengths, depth, duplicates, caps",
    16: "SPDM: no session before FINISH, fresh, in order",
    17: "Emulated evidence is never taken for hardware",
}

ONLY_OF = "is a rule of one format"
OF_PARTS = "the parts of the set are judged by their own rows"
NO_SIGNATURE = "the set has no signature of its own; its parts do"
# rule -> {format: why there is no test}. A cell that is not here needs a test.
EMPTY = {
    1: {"rim": "reference values are signed once and answer no challenge", "cose": "reference values are signed once and answer no challenge"},
    2: {"composite": NO_SIGNATURE},
    3: {"azure": "its quote and its TEE report are judged by the rows tpm, snp and tdx", "composite": NO_SIGNATURE},
    4: {"azure": "the chain is that of its SNP or TDX report", "composite": OF_PARTS},
    5: {"azure": "its quote and its TEE report are judged by the rows tpm, snp and tdx", "composite": NO_SIGNATURE},
    6: {"rim": "a reference value has no debug state; one for debug firmware is another measurement", "spdm": "the session carries measurements, the rows gpu and switch judge them", "tpm": "a quote has no debug state: what was booted is in the PCRs (rule 13)",
        "cose": "what is signed is reference values", "composite": OF_PARTS},
    7: {format: "has no privilege levels" for format in ("gpu", "switch", "rim", "tdx", "tpm", "jwt", "cose", "spdm")} | {"composite": OF_PARTS},
    8: {format: ONLY_OF for format in FORMATS if format != "snp"},
    9: {format: ONLY_OF for format in FORMATS if format != "tdx"},
    10: {format: ONLY_OF for format in FORMATS if format not in ("tpm", "azure")},
    11: {format: "one piece of evidence cannot be bound to another alone: see composite" for format in FORMATS if format not in ("switch", "composite")},
    12: {format: "REPORT_DATA, the nonce or the user data carries the binding, which the set's row shows" for format in FORMATS if format not in ("spdm", "composite")},
    13: {"spdm": "the session carries measurements, the rows gpu and switch judge them", "composite": OF_PARTS},
    14: {"tpm": "a quote needs no collateral", "azure": "the collateral is that of its SNP or TDX report", "spdm": "a session needs no collateral", "composite": OF_PARTS},
    15: {},
    16: {format: ONLY_OF for format in FORMATS if format != "spdm"},
    17: {"jwt": "whose tokens count is the relying party's list of keys, and the token's environment claim is in the rows of what it speaks of",
         "cose": "whose reference values count is the relying party's list of keys", "spdm": "a session's peer is judged by its report (gpu)"},
}

# id -> (what went wrong, other spellings). Each has a test that reproduces the mistake, or a reason why it cannot be made here.
ADVISORIES = {
    "CVE-2023-31127": ("libspdm: KEY_EXCHANGE, then PSK_FINISH, skips mutual authentication", ()),
    "CVE-2022-0317": ("go-attestation: a quote over no or other PCRs was accepted", ()),
    "GHSA-9r4w-jg96-92mv": ("go-eventlog: header bytes of an EFI_SIGNATURE_LIST taken as hashes", ()),
    "CVE-2026-33697": ("attested TLS: evidence relayed to another channel", ("GHSA-vfgg-mvxx-mgg7",)),
    "CVE-2025-64186": ("evervault-go: incomplete attestation documents passed", ("GHSA-88h9-77c7-p6w4",)),
    "CVE-2026-1709": ("keylime: an attestation key that nobody vouched for", ("CVE-2022-1053", "CVE-2023-38201")),
    "CVE-2022-21449": ("ECDSA signatures with r = s = 0", ()),
    "CVE-2020-0601": ("explicit curve parameters", ()),
    "CVE-2021-3450": ("a chain through a certificate that is no CA", ()),
    "CVE-2015-9235": ("JWT: alg none, HMAC under a public key", ()),
    "CVE-2024-56161": ("AMD SB-3019: microcode signatures; needs a TCB minimum", ("SB-3019",)),
    "CVE-2024-21944": ("BadRAM: memory aliases; needs ALIAS_CHECK_COMPLETE", ("BadRAM",)),
    "arXiv-2605.12990": ("VCEK seeds of Milan extracted; a policy may refuse the product line", ()),
    "TEE.fail": ("attestation keys extracted with interposers, GPU evidence relayed", ("WireTap", "Battering RAM")),
    "trustee-229": ("result of the ECDSA check ignored, raw bytes taken for a digest", ()),
    "attestation-rs-67": ("one path never looked at VMPL and debug", ()),
    "CCF-5024": ("policy.debug not checked", ()),
    "CCF-6583": ("VMPL range not checked", ()),
    "agentrust-389": ("a REPORT_DATA mismatch was not fatal", ()),
    "agentrust-445": ("no CA, pathLen and keyUsage checks; a crash on corrupt PEM", ()),
    "aleph-vm-1167": ("the curve of the VCEK was not checked", ()),
    "cmcp-412": ("reports of version 5 rejected", ()),
}
