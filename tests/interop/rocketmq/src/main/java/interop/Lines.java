package interop;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** A file of JSON objects, one a line, each there for other processes as soon as it is written. */
final class Lines {
    private final PrintStream out;

    Lines(String file) throws IOException {
        this.out = new PrintStream(new FileOutputStream(file, true), true, StandardCharsets.UTF_8);
    }

    synchronized void write(Map<String, Object> line) {
        out.println(json(line));
    }

    static String json(Object value) {
        return JSON.toJSONString(value, JSONWriter.Feature.WriteMapNullValue,
            JSONWriter.Feature.WriteNonStringKeyAsString, JSONWriter.Feature.LargeObject);
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
