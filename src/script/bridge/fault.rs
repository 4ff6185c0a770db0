//! Tells what the guard could not see, before it ends the process: a stack overflow in native code (dropping or printing
//! deeply nested data), and a single allocation far beyond the script's memory.
//!
//! Both end the process from where nothing can be unwound, with a message that names the script and the cause, and with
//! the exit code of a script error. What is done here is safe in a signal handler: `write`, `isatty`, `tcsetattr` and `_exit`.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::stack::STACK_RESERVE;

/// The exit code of a script error, as k6 has it.
const EXIT_SCRIPT_ERROR: i32 = 107;

thread_local! {
    static SCRIPT: Cell<&'static str> = const { Cell::new("the script") };
    static STACK_LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// What the process did on a bad memory access before [`install`].
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// The terminal's mode when [`remember_terminal`] was first called; none when there was no terminal.
static TERMINAL: OnceLock<Option<libc::termios>> = OnceLock::new();

/// Lets the end of the process bring the terminal on stdin back to its mode of now.
pub fn remember_terminal() {
    TERMINAL.get_or_init(|| {
        let mut mode = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: the structure is valid for the call, and is read only when the call has filled it.
        unsafe { (libc::tcgetattr(0, mode.as_mut_ptr()) == 0).then(|| mode.assume_init()) }
    });
}

/// Names the script that runs on this thread from now on. The text is kept for the life of the process.
pub fn name_script(name: &str) {
    if SCRIPT.get() != name {
        SCRIPT.set(Box::leak(name.to_owned().into_boxed_str()));
    }
}

/// The stack that is in use on this thread, by its guarded limit; 0 for none.
pub(super) fn watch_stack(guarded_limit: usize) {
    STACK_LIMIT.set(guarded_limit);
}

/// Installs the handler, once a process.
pub fn install() {
    PREVIOUS.get_or_init(|| {
        let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: both structures are valid for the call; the handler does only what a signal handler may. Threads made
        // by std have an alternate stack, which SA_ONSTACK needs.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bad_access as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGSEGV, &raw const action, previous.as_mut_ptr());
            previous.assume_init()
        }
    });
}

extern "C" fn on_bad_access(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let limit = STACK_LIMIT.get();
    // SAFETY: the kernel passes a valid structure to a handler installed with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    let bottom = limit.wrapping_sub(STACK_RESERVE);
    if limit != 0 && address.wrapping_sub(bottom) < 64 * 1024 {
        last_words(&[
            "error: stack overflow in `",
            SCRIPT.get(),
            "`: native code needed more stack than a virtual user has, most likely to print, compare or free data that \
             is nested thousands of levels deep (an array in an array in an array ...)\n  = help: build flat arrays or \
             maps instead\n",
        ]);
    }
    // Not ours: what the process did before decides, as soon as the access is tried again.
    if let Some(previous) = PREVIOUS.get() {
        // SAFETY: it is the action that the kernel itself gave us.
        unsafe { libc::sigaction(signal, previous, std::ptr::null_mut()) };
    }
}

/// A script asked for one allocation that is far beyond what it may hold.
#[cold]
pub(super) fn out_of_memory(size: usize) {
    let mut digits = [0_u8; 20];
    last_words(&[
        "error: out of memory in `",
        SCRIPT.get(),
        "`: one operation of the script needs ",
        decimal(size / (1 << 20), &mut digits),
        " MiB at once, far more than the script may hold\n  = help: find the text, blob or array that grows; raise the \
         bound with --max-vu-memory or --max-memory if it is meant to\n",
    ])
}

fn last_words(parts: &[&str]) -> ! {
    // SAFETY: these functions are async-signal-safe; the pointers are valid for their lengths.
    unsafe {
        if let Some(Some(mode)) = TERMINAL.get() {
            libc::tcsetattr(0, libc::TCSANOW, &raw const *mode);
        }
        if libc::isatty(2) == 1 {
            let show_cursor = b"\x1b[?25h\r\n";
            libc::write(2, show_cursor.as_ptr().cast(), show_cursor.len());
        }
        for part in parts {
            libc::write(2, part.as_ptr().cast(), part.len());
        }
        libc::_exit(EXIT_SCRIPT_ERROR)
    }
}

fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &str {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[at..]).unwrap_or("?")
}
