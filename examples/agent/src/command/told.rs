use serde_json::Value;

use super::word;

/// What an agent answered, for people: each member on a line, what is inside of it below.
pub(super) fn lines(result: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    match result {
        Value::Null => lines.push("done; the agent says no more".to_owned()),
        Value::Object(members) => members.iter().for_each(|(name, value)| member(&mut lines, 0, name, value)),
        other => lines.push(word(other)),
    }
    lines
}

fn member(lines: &mut Vec<String>, depth: usize, name: &str, value: &Value) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) if members.is_empty() => {}
        Value::Object(members) => {
            lines.push(format!("{indent}{name}:"));
            members.iter().for_each(|(name, value)| member(lines, depth + 1, name, value));
        }
        Value::Array(items) if items.is_empty() => lines.push(format!("{indent}{name}: none")),
        Value::Array(items) => {
            lines.push(format!("{indent}{name}:"));
            lines.extend(items.iter().map(|item| format!("{indent}  - {}", flat(item))));
        }
        other => lines.push(format!("{indent}{name}: {}", word(other))),
    }
}

/// An item on one line.
fn flat(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let parts: Vec<String> = members.iter().map(|(name, value)| format!("{name} {}", flat(value))).collect();
            parts.join(", ")
        }
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(" "),
        other => word(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_lines_for_people() {
        let answer = json!({"disks": [{"disk": "sda", "bytes": 5, "passes": ["zeros"]}], "cache": {"images": 2}, "left": [], "mode": "BUSY"});
        let expected = ["cache:", "  images: 2", "disks:", "  - bytes 5, disk sda, passes zeros", "left: none", "mode: BUSY"];
        assert_eq!(lines(&answer), expected);
        assert_eq!(lines(&Value::Null), ["done; the agent says no more"]);
    }
}
