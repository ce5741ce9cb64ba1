//! Files and directories of a node's own as the commands that make them by hand: a mount namespace that is pinned as
//! ip-netns(8) pins one of the network, with unshare(1), and entered with nsenter(1).

use std::fmt::Write as _;

use nslab_topology::model::{Content, File, Owner, PrivateDirectory, View};

use super::shell::quote;

/// Where the mount namespaces are pinned. A directory of its own, as that can only be done in a private mount.
const VIEWS: &str = "/run/netns-views";

/// What is needed within a view. `room` gives a directory to which files can be added: where it is the machine's, a layer
/// is laid over it.
const FUNCTIONS: &str = r#"own() { [ "$(findmnt -nro SOURCE -T "$1")" = view ]; }
room() {
  d=$1; until [ -d "$d" ]; do d=${d%/*}; done
  own "$d" || {
    n=$((n + 1)); mkdir $n $n.work; chmod --reference="$d" $n; chown --reference="$d" $n
    mount -t overlay -o "lowerdir=$d,upperdir=$n,workdir=$n.work" view "$d"
  }
  mkdir -p "$1"
}
private() {
  m=755 o=0:0; if [ -d "$1" ]; then m=$(stat -c %a "$1") o=$(stat -c %u:%g "$1"); else room "$1"; fi
  mount -t tmpfs view "$1"; chmod "${2:-$m}" "$1"; chown "${3:-$o}" "$1"
}
file() {
  if [ -e "$1" ] && ! own "$1"; then n=$((n + 1)); cat > $n; mount --bind $n "$1"
  else room "${1%/*}"; cat > "$1"; fi
  chmod "$2" "$1"; chown "$3" "$1"
}
"#;

/// How a program is run in a node that has a view; the namespace's name is quoted already.
pub(super) fn enter(ns: &str) -> String {
    format!("nsenter --net=/run/netns/{ns} --mount={VIEWS}/{ns}")
}

/// The commands that make a view.
pub(super) fn create(ns: &str, view: &View) -> Vec<String> {
    let mut inside =
        format!("mount -t tmpfs view {VIEWS}/{ns}.files\ncd {VIEWS}/{ns}.files\nn=0\n{FUNCTIONS}");
    for directory in &view.directories {
        inside.push_str(&private(directory));
    }
    for file in &view.files {
        inside.push_str(&contents(file, &format!("file {}", arguments(file))));
    }
    let mut commands = vec![
        format!(
            "mkdir -p {VIEWS}; mountpoint -q {VIEWS} || {{ mount --bind {VIEWS} {VIEWS}; mount --make-private {VIEWS}; }}"
        ),
        format!("mkdir {VIEWS}/{ns}.files; touch {VIEWS}/{ns}"),
        // From Linux 6.18 on a new mount namespace may count as older than the shell's, and cannot be mounted then
        // (`NamespaceFile::age_number`); each try has a greater number.
        format!(
            "n=0; until unshare --propagation slave --mount={VIEWS}/{ns} true 2>/dev/null; \
             do n=$((n + 1)); [ $n -lt 500 ] || exit 1; done"
        ),
        within(&format!("nsenter --mount={VIEWS}/{ns}"), &inside),
    ];
    if !view.processes.is_hosts() {
        // A PID namespace takes a first process that lives as long as the node.
        commands.push(format!("# not part of this script: processes of {ns}'s own, see pid_namespaces(7)"));
    }
    commands
}

/// The commands that write a file of a view.
pub(super) fn write(ns: &str, file: &File) -> Vec<String> {
    let path = quote(&file.path);
    let mode_and_owner =
        format!("chmod {:04o} {path}\nchown {} {path}\n", file.mode, owner(file.owner.as_ref()));
    let inside = contents(file, &format!("cat > {path}")) + &mode_and_owner;
    vec![within(&format!("nsenter --mount={VIEWS}/{ns}"), &inside)]
}

/// The commands that take a view away.
pub(super) fn delete(ns: &str) -> Vec<String> {
    vec![format!("umount {VIEWS}/{ns}; rm {VIEWS}/{ns}; rmdir {VIEWS}/{ns}.files")]
}

fn within(enter: &str, script: &str) -> String {
    let end = end_of(script, "VIEW");
    format!("{enter} sh -e <<'{end}'\n{script}{end}")
}

/// A word that no line of the text is.
pub(super) fn end_of(text: &str, word: &str) -> String {
    let mut end = word.to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    end
}

fn private(directory: &PrivateDirectory) -> String {
    let mode = directory.mode.map_or_else(|| "''".to_owned(), |mode| format!("{mode:04o}"));
    let owner = directory.owner.as_ref().map_or_else(|| "''".to_owned(), |one| owner(Some(one)));
    let words = format!("private {} {mode} {owner}", quote(&directory.path));
    format!("{}\n", words.trim_end_matches(" ''"))
}

fn arguments(file: &File) -> String {
    format!("{} {:04o} {}", quote(&file.path), file.mode, owner(file.owner.as_ref()))
}

/// As chown(1) takes it: a user with a colon alone stands for their own group, too.
fn owner(owner: Option<&Owner>) -> String {
    match owner {
        None => "0:0".to_owned(),
        Some(Owner { user, group: Some(group) }) => quote(&format!("{user}:{group}")),
        Some(Owner { user, group: None }) => quote(&format!("{user}:")),
    }
}

/// Hands what is in a file to a command.
fn contents(file: &File, command: &str) -> String {
    match &file.content {
        // What a here-document says ends with a line.
        Content::Text(text) if text.ends_with('\n') => {
            let end = end_of(text, "EOF");
            format!("{command} <<'{end}'\n{text}{end}\n")
        }
        Content::Text(text) => format!("printf %s {} | {command}\n", quote(text)),
        Content::Bytes(bytes) => {
            let mut octal = String::with_capacity(4 * bytes.len());
            for byte in bytes {
                let _ = write!(octal, "\\{byte:03o}");
            }
            format!("printf '{octal}' | {command}\n")
        }
        Content::From(path) => format!("{command} < {}\n", quote(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_as_they_are() {
        let file = |content| File { path: "/etc/x".to_owned(), content, mode: 0o644, owner: None };
        let text = |text: &str| contents(&file(Content::Text(text.to_owned())), "cat");
        assert_eq!(text("a\nEOF\nb\n"), "cat <<'EOF_'\na\nEOF\nb\nEOF_\n");
        assert_eq!(text("it's"), "printf %s 'it'\\''s' | cat\n");
        assert_eq!(
            contents(&file(Content::Bytes(vec![0, 255, b'%'])), "cat"),
            "printf '\\000\\377\\045' | cat\n"
        );
    }

    #[test]
    fn modes_and_owners_are_left_out_where_they_are_the_machines() {
        let directory = |mode, user: Option<&str>| {
            let owner = user.map(|user| Owner { user: user.to_owned(), group: None });
            private(&PrivateDirectory { path: "/run/a b".to_owned(), mode, owner })
        };
        assert_eq!(directory(None, None), "private '/run/a b'\n");
        assert_eq!(directory(Some(0o700), None), "private '/run/a b' 0700\n");
        assert_eq!(directory(None, Some("frr")), "private '/run/a b' '' frr:\n");
    }
}
