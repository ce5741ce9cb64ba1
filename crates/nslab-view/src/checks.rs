//! What a machine has and lacks.

use crate::Style;
use crate::style::Role;
use crate::table::lines;

/// One thing that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<'a> {
    /// How it is.
    pub mark: Mark,
    /// What.
    pub name: &'a str,
    /// How it is, in words.
    pub text: &'a str,
    /// What mends it, commands to be typed.
    pub fix: &'a [String],
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Some labs will not work.
    Warning,
    /// No lab will.
    Lacking,
}

/// Each thing in a line, what mends it below, and what follows from all.
///
/// ```
/// use nslab_view::{Checked, Mark, Style, checks};
/// let fix = ["sudo modprobe veth".to_owned()];
/// let veth = Checked { mark: Mark::Lacking, name: "CONFIG_VETH", text: "links", fix: &fix };
/// let text = checks(&[veth], &Style::default());
/// assert_eq!(
///     text,
///     "lacking  CONFIG_VETH  links\n  fix: sudo modprobe veth\nno lab can be built here: 1 thing is lacking\n"
/// );
/// ```
pub fn checks(all: &[Checked<'_>], style: &Style) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|check| {
            let (word, role) = match check.mark {
                Mark::Ok => ("ok", Role::Good),
                Mark::Note => ("note", Role::Faint),
                Mark::Warning => ("warning", Role::Switch),
                Mark::Lacking => ("lacking", Role::Bad),
            };
            vec![style.paint(role, word).into_owned(), check.name.to_owned(), check.text.to_owned()]
        })
        .collect();
    let mut text = String::new();
    for (line, check) in lines(&rows, 2).into_iter().zip(all) {
        text.extend([&line, "\n"]);
        for command in check.fix {
            text.extend(["  fix: ", command, "\n"]);
        }
    }
    let count = |mark: Mark| all.iter().filter(|check| check.mark == mark).count();
    let lacking = count(Mark::Lacking);
    let end = match (lacking, count(Mark::Warning)) {
        (0, 0) => "labs can be built here".to_owned(),
        (0, 1) => "labs can be built here; 1 warning".to_owned(),
        (0, warnings) => format!("labs can be built here; {warnings} warnings"),
        (1, _) => "no lab can be built here: 1 thing is lacking".to_owned(),
        (lacking, _) => format!("no lab can be built here: {lacking} things are lacking"),
    };
    text + &end + "\n"
}
