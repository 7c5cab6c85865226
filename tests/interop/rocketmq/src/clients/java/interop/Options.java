package interop;

import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.remoting.RPCHook;

/** The name=value arguments; one without `=`, which says what to do, is passed over. */
final class Options {
    private final Map<String, String> values = new HashMap<>();

    Options(String[] arguments) {
        for (String argument : arguments) {
            int split = argument.indexOf('=');
            if (split > 0) {
                values.put(argument.substring(0, split), argument.substring(split + 1));
            }
        }
    }

    String text(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + "=… is missing");
        }
        return value;
    }

    String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }

    /** Signs requests when access-key and secret-key are given, else null. */
    RPCHook credentials() {
        if (!values.containsKey("access-key")) {
            return null;
        }
        return new AclClientRPCHook(new SessionCredentials(text("access-key"), text("secret-key")));
    }
}
