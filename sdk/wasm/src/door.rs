//! What JavaScript calls: four functions over the module's own memory.
//!
//! `input(length)` makes room for the bytes to come and says where. `verify` reads them, and returns the
//! length of its answer, JSON that begins at `output()`; `signatures` judges lines of signatures. One call at a time: a module has one thread.
//!
//! The only unsafe code is the names under which the functions are exported. The bytes are written and
//! read by JavaScript, between calls, where no Rust code runs.

#![allow(unsafe_code, reason = "an exported name is unsafe by definition")]

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;

use consign_types::signature_line::judge_lines;
use consign_types::time::Millis;

use crate::ask::{self, Question};
use crate::json::json;

/// More than all that is accepted together; what is longer is refused in JavaScript.
const INPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

struct Held {
    input: RefCell<Vec<u8>>,
    output: RefCell<String>,
}

// SAFETY: wasm32-unknown-unknown without atomics has a single thread.
unsafe impl Sync for Held {}

static HELD: Held = Held { input: RefCell::new(Vec::new()), output: RefCell::new(String::new()) };

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Room for `length` bytes; 0 where that is too many.
#[unsafe(no_mangle)]
extern "C" fn input(length: usize) -> usize {
    if length > INPUT_BYTES_MAX {
        return 0;
    }
    let mut held = HELD.input.borrow_mut();
    *held = Vec::new();
    held.resize(length.max(1), 0);
    held.as_mut_ptr() as usize
}

/// Verifies what lies in the input: file, trust file, event, unit and holder to expect, and the flags that must
/// not be, with commas between. What is empty is not there, or not asked.
#[unsafe(no_mangle)]
extern "C" fn verify(
    file: usize,
    trust: usize,
    event: usize,
    unit: usize,
    holder: usize,
    not_flags: usize,
    accept_log_key: u32,
    max_age_s: u64,
    now_s: u64,
) -> usize {
    let input = HELD.input.borrow();
    let mut rest = input.as_slice();
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = left;
        taken
    };
    let text = |bytes| core::str::from_utf8(bytes).unwrap_or("\u{fffd}");
    let file = take(file);
    let question = Question {
        trust: text(take(trust)),
        event: take(event),
        unit: text(take(unit)),
        holder: text(take(holder)),
        not_flags: text(take(not_flags)),
        max_age_s: (max_age_s != u64::MAX).then_some(max_age_s),
        accept_log_key: accept_log_key != 0,
    };
    let answer = json(&ask::verify(file, &question, Millis(now_s.saturating_mul(1_000))));
    let length = answer.len();
    *HELD.output.borrow_mut() = answer;
    length
}

/// Judges the lines of signatures that lie in the input, as `consign key verify`: a line for each, the length of all.
#[unsafe(no_mangle)]
extern "C" fn signatures() -> usize {
    let input = HELD.input.borrow();
    let text = core::str::from_utf8(&input).unwrap_or("\u{fffd}");
    let mut verdicts = String::new();
    for verdict in judge_lines(text) {
        match verdict {
            Ok(verdict) => verdicts += &verdict.to_string(),
            Err(why) => verdicts += &why,
        }
        verdicts.push('\n');
    }
    let length = verdicts.len();
    *HELD.output.borrow_mut() = verdicts;
    length
}

/// Where the answer begins.
#[unsafe(no_mangle)]
extern "C" fn output() -> usize {
    HELD.output.borrow().as_ptr() as usize
}
