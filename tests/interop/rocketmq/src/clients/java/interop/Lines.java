package interop;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A file of JSON objects, one a line, each there for other processes as soon as it is written.
 *
 * <p>It writes JSON itself: clients of different versions bring different libraries for it.
 */
final class Lines {
    private final PrintStream out;

    Lines(String file) throws IOException {
        this.out = new PrintStream(new FileOutputStream(file, true), true, StandardCharsets.UTF_8);
    }

    synchronized void write(Map<String, Object> line) {
        out.println(json(line));
    }

    /** Of maps, collections, numbers, booleans and null; anything else becomes a text. */
    static String json(Object value) {
        StringBuilder text = new StringBuilder();
        append(text, value);
        return text.toString();
    }

    private static void append(StringBuilder text, Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            text.append(value);
        } else if (value instanceof Map<?, ?> map) {
            text.append('{');
            for (Iterator<? extends Map.Entry<?, ?>> entries = map.entrySet().iterator(); entries.hasNext(); ) {
                Map.Entry<?, ?> entry = entries.next();
                quote(text, String.valueOf(entry.getKey()));
                append(text.append(':'), entry.getValue());
                text.append(entries.hasNext() ? "," : "");
            }
            text.append('}');
        } else if (value instanceof Iterable<?> values) {
            text.append('[');
            for (Iterator<?> each = values.iterator(); each.hasNext(); ) {
                append(text, each.next());
                text.append(each.hasNext() ? "," : "");
            }
            text.append(']');
        } else {
            quote(text, value.toString());
        }
    }

    private static void quote(StringBuilder text, String value) {
        text.append('"');
        for (char each : value.toCharArray()) {
            if (each == '"' || each == '\\') {
                text.append('\\').append(each);
            } else if (each < ' ') {
                text.append(String.format("\\u%04x", (int) each));
            } else {
                text.append(each);
            }
        }
        text.append('"');
    }

    /** Name, value, name, value … in this order. */
    static Map<String, Object> of(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], pairs[i + 1]);
        }
        return map;
    }
}
