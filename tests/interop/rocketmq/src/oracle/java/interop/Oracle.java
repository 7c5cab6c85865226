package interop;

import java.io.PrintStream;

/** Asks brokers of any version; the only argument is name-server=, see {@link Ask}. */
public final class Oracle {
    private Oracle() {
    }

    public static void main(String[] arguments) throws Exception {
        // the clients' logging set-up prints to standard output
        PrintStream answers = System.out;
        System.setOut(System.err);
        Ask.answerAll(new Options(arguments), answers);
        System.exit(0);
    }
}
