/** How one question is answered: yes; no; nothing here says so; as far as the file goes. */
export type Verdict = "ok" | "failed" | "not-established" | "bounded";

export interface Answer {
  verdict: Verdict;
  /** One sentence, for people. */
  detail: string;
}

/**
 * Stable. `ok`; `integrity` (the bytes do not hold together); `incomplete` (the receipt does not carry its
 * event); `misbehaviour` (the file proves it: see `accused`); `log_key_alone` (one log key says so, and no quorum); `trust` (nobody whom the trust file names stands by it, or there is no trust file); `bad_trust`
 * (the trust file is none); `not_a_passport`, `other_unit`, `other_holder`, `flagged`, `unknown_flag`, `stale` (what was asked is not so);
 * `too_large`; `internal` (a fault of the verifier).
 */
export type Code =
  | "ok"
  | "misbehaviour"
  | "log_key_alone"
  | "not_a_passport"
  | "integrity"
  | "incomplete"
  | "trust"
  | "bad_trust"
  | "other_unit"
  | "other_holder"
  | "flagged"
  | "unknown_flag"
  | "stale"
  | "too_large"
  | "internal";

export type Flag =
  | "excursion"
  | "excursion-open"
  | "hold"
  | "hold-standing"
  | "seal-broken"
  | "exception"
  | "discontinuity"
  | "reading-gap"
  | "damaged"
  | "contested";

export interface Unmet {
  code: Code;
  detail: string;
}

export interface Verification {
  /** Whether the proof holds. What was asked besides may still be `unmet`: look at `code`. */
  verified: boolean;
  code: Code;
  /** What the file speaks of. */
  subject: string;
  integrity: Answer;
  trust: Answer;
  completeness: Answer;
  time: Answer;
  /** Who holds the unit; of verified passports only, as `flags` and `story`. */
  holder?: string;
  flags?: Flag[];
  /** A line for each event. */
  story?: string[];
  /** Whom evidence names, and what each did. */
  accused?: string[];
  /** What was asked and is not so. */
  unmet: Unmet[];
}

export interface Options {
  /** The event's exact bytes, where a receipt does not carry them. */
  event?: Uint8Array;
  /** The unit that the passport must be of. */
  unit?: string;
  /** The party that must hold the unit. */
  expectHolder?: string;
  /** What must never have happened to the unit. */
  notFlags?: Flag[];
  /** The oldest that a passport may be. */
  maxAgeSeconds?: number;
  /** Of a COSE receipt: one log key's word is enough. */
  acceptLogKey?: boolean;
}

export interface Verifier {
  /**
   * Checks a passport or a receipt with what a trust file says; without one, trust is not established.
   * `nowSeconds` is the caller's clock, in seconds since 1970: the age is measured by it, nothing else.
   */
  verify(
    fileBytes: Uint8Array,
    trustText: string | undefined,
    nowSeconds: number,
    options?: Options,
  ): Verification;

  /**
   * Judges lines `ed25519|p256 KEY MESSAGE SIGNATURE` (hexadecimal, an empty message `-`) as a node judges signatures of
   * events: `holds`, or why not, for each.
   */
  checkSignatures(lines: string): string[];
}

/** Compiles the module from its bytes. */
export function load(source: BufferSource | WebAssembly.Module): Promise<Verifier>;
