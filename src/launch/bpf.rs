//! An interpreter of the classic BPF that seccomp filters are made of.
//!
//! launch runs its own filter through it before it installs it: rules for calls that cannot be made safely
//! from a test (x32, io_uring, a foreign architecture) are checked all the same, in the very program that the
//! kernel gets, and on kernels that would answer ENOSYS whatever the filter says.

use seccompiler::sock_filter;

/// One call as a filter sees it (`struct seccomp_data`, Linux's `linux/seccomp.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// System call number, with the x32 bit where it applies.
    pub number: u32,
    /// `AUDIT_ARCH_*` of the calling convention.
    pub arch: u32,
    /// The six arguments.
    pub args: [u64; 6],
}

/// A program that the kernel would not take either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BpfError {
    /// An instruction that seccompiler does not emit.
    #[error("failed to interpret BPF instruction {code:#04x} at {at}")]
    Instruction {
        /// The instruction's code.
        code: u16,
        /// Its index.
        at: usize,
    },
    /// A jump or the end of the program led out of it.
    #[error("failed to interpret BPF: no instruction at {0}")]
    OutOfProgram(usize),
    /// A load from outside `struct seccomp_data`, or not at a word.
    #[error("failed to interpret BPF: no word at offset {0}")]
    Load(u32),
}

impl Call {
    fn word(&self, offset: u32) -> Result<u32, BpfError> {
        let index = usize::try_from(offset).map_err(|_| BpfError::Load(offset))?;
        match offset {
            0 => Ok(self.number),
            4 => Ok(self.arch),
            8 | 12 => Ok(0),
            16..=60 if offset.is_multiple_of(4) => {
                let arg = self.args[(index - 16) / 8];
                let half = if offset.is_multiple_of(8) {
                    arg
                } else {
                    arg >> 32
                };
                Ok((half & u64::from(u32::MAX)) as u32)
            }
            _ => Err(BpfError::Load(offset)),
        }
    }
}

/// What the kernel would get back from `program` for `call`: a `SECCOMP_RET_*` value with its data.
///
/// Jumps only go forward, so it ends.
///
/// # Errors
/// The program has an unknown instruction, leaves itself, or loads from outside the data.
pub fn run(program: &[sock_filter], call: &Call) -> Result<u32, BpfError> {
    let mut at = 0usize;
    let mut acc = 0u32;
    loop {
        let step = program.get(at).ok_or(BpfError::OutOfProgram(at))?;
        let branch = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
        let skip = match step.code {
            0x20 => {
                acc = call.word(step.k)?;
                0
            }
            0x54 => {
                acc &= step.k;
                0
            }
            0x05 => usize::try_from(step.k).map_err(|_| BpfError::OutOfProgram(at))?,
            0x15 => branch(acc == step.k),
            0x25 => branch(acc > step.k),
            0x35 => branch(acc >= step.k),
            0x06 => return Ok(step.k),
            code => return Err(BpfError::Instruction { code, at }),
        };
        at = at.saturating_add(1).saturating_add(skip);
    }
}
