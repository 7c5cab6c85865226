package interop;

import java.io.PrintStream;

/** Java clients of a cluster. The first argument is what to do, the others are name=value; see the classes. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        // the clients' logging set-up prints to standard output
        PrintStream answers = System.out;
        System.setOut(System.err);
        Options options = new Options(arguments);
        switch (arguments[0]) {
            case "produce" -> Produce.run(options);
            case "consume" -> Consume.run(options);
            case "admin" -> Ask.snapshotOnce(options, answers);
            case "oracle" -> Ask.answerAll(options, answers);
            default -> throw new IllegalArgumentException("produce, consume, admin or oracle, not " + arguments[0]);
        }
        // threads of the clients may linger
        System.exit(0);
    }
}
