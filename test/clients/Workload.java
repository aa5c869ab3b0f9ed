import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.HexFormat;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** The order system through JDBC: prints everything the server answers. Arguments: URL, user, password. */
public class Workload {
  interface Action {
    void run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    for (String mode : new String[] {"extended", "simple", "extendedForPrepared"}) {
      System.out.println("== preferQueryMode " + mode);
      String url = args[0] + "?preferQueryMode=" + mode + "&prepareThreshold=2&reWriteBatchedInserts=false";
      try (Connection conn = DriverManager.getConnection(url, args[1], args[2])) {
        tables(conn);
        values(conn);
        batches(conn);
        copies(conn);
        transactions(conn);
        cursors(conn);
        notifications(conn);
        largeObjects(conn);
        cancel(conn, args, mode);
        update(conn, "drop schema client_jdbc cascade");
      }
    }
  }

  static void tables(Connection conn) throws Exception {
    show("server", conn.getMetaData().getDatabaseProductVersion());
    update(conn, "drop schema if exists client_jdbc cascade");
    update(conn, "create schema client_jdbc");
    update(conn, "set search_path = client_jdbc");
    update(conn, "create table orders (id serial primary key, customer text not null, total numeric(10,2) check (total >= 0),"
        + " placed timestamptz, day date, tags text[], details jsonb, receipt bytea, flag bool, ratio float8)");
    ResultSet columns = conn.getMetaData().getColumns(null, "client_jdbc", "orders", null);
    while (columns.next()) show("column", columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
    query(conn, "select 1 as one; select 2 as two, 'b' as b");
  }

  static void values(Connection conn) throws Exception {
    String insert = "insert into orders (customer, total, placed, day, tags, details, receipt, flag, ratio)"
        + " values (?, ?, ?, ?, ?, ?::jsonb, ?, ?, ?)";
    try (PreparedStatement statement = conn.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
      for (int n = 0; n < 6; n++) { // beyond the threshold the statement is a named one and results are binary
        statement.setString(1, "Kunde ü " + n);
        statement.setBigDecimal(2, new BigDecimal("12.5" + n));
        statement.setObject(3, OffsetDateTime.parse("2024-02-29T12:34:56.789012Z").plusDays(n));
        statement.setObject(4, LocalDate.of(2024, 2, 29));
        statement.setArray(5, conn.createArrayOf("text", new String[] {"a", null, "b \"c\""}));
        statement.setString(6, "{\"k\": [1, null]}");
        statement.setBytes(7, new byte[] {0, (byte) 255, (byte) n});
        statement.setBoolean(8, n % 2 == 0);
        statement.setDouble(9, 0.1 * n);
        show("inserted", statement.executeUpdate());
        ResultSet keys = statement.getGeneratedKeys();
        while (keys.next()) show("key", keys.getInt(1));
      }
    }
    try (PreparedStatement statement = conn.prepareStatement("select * from orders where id between ? and ? order by id")) {
      for (int n = 1; n < 7; n++) {
        statement.setInt(1, n);
        statement.setInt(2, n + 1);
        print(statement.executeQuery());
        show("server side", statement.unwrap(PGStatement.class).isUseServerPrepare());
      }
    }
    try (PreparedStatement statement = conn.prepareStatement(
        "select ?::int8, ?::float4, ?::text, ?::uuid, ?::interval::text, array[?::int, null], 'NaN'::float8, 'infinity'::timestamp")) {
      for (int n = 0; n < 4; n++) {
        statement.setLong(1, 1L << 40);
        statement.setFloat(2, 1.5f);
        statement.setString(3, null);
        statement.setObject(4, java.util.UUID.fromString("12345678-1234-5678-1234-567812345678"));
        statement.setString(5, "1 day 2 hours");
        statement.setInt(6, n);
        print(statement.executeQuery());
      }
    }
    show("parameters", conn.prepareStatement("select ?::int + ?::numeric").getParameterMetaData().getParameterTypeName(2));
  }

  static void batches(Connection conn) throws Exception {
    try (PreparedStatement statement = conn.prepareStatement("insert into orders (customer, total) values (?, ?)")) {
      for (int n = 0; n < 300; n++) {
        statement.setString(1, "batch " + n);
        statement.setInt(2, n);
        statement.addBatch();
      }
      show("batch", Arrays.stream(statement.executeBatch()).sum());
      for (int n = 3; n > -2; n--) {
        statement.setString(1, "bad batch");
        statement.setInt(2, n);
        statement.addBatch();
      }
      try {
        statement.executeBatch();
      } catch (BatchUpdateException caught) {
        show("bad batch", Arrays.toString(caught.getUpdateCounts()) + " " + caught.getSQLState());
      }
    }
    try (Statement statement = conn.createStatement()) {
      statement.addBatch("update orders set flag = true where id < 4");
      statement.addBatch("delete from orders where customer = 'bad batch'");
      show("mixed batch", Arrays.toString(statement.executeBatch()));
    }
    query(conn, "select count(*), sum(total) from orders");
  }

  static void copies(Connection conn) throws Exception {
    CopyManager copies = conn.unwrap(PGConnection.class).getCopyAPI();
    StringBuilder rows = new StringBuilder();
    for (int n = 0; n < 2000; n++) rows.append("copied ").append(n).append('\t').append(n).append('\n');
    show("copy in", copies.copyIn("copy orders (customer, total) from stdin", new StringReader(rows.toString())));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    show("copy out", copies.copyOut("copy (select id, customer from orders order by id) to stdout", out));
    show("copied", out.size() + " " + Arrays.hashCode(out.toByteArray()));
    CopyIn given = copies.copyIn("copy orders (customer) from stdin");
    byte[] half = "half\n".getBytes(StandardCharsets.UTF_8);
    given.writeToCopy(half, 0, half.length);
    failing("copy given up", given::cancelCopy);
    failing("bad copy", () -> copies.copyIn("copy orders (total) from stdin", new StringReader("abc\n")));
    query(conn, "select count(*) from orders");
  }

  static void transactions(Connection conn) throws Exception {
    failing("constraint", () -> update(conn, "insert into orders (customer, total) values ('x', -1)"));
    failing("syntax", () -> query(conn, "selec 1"));
    conn.setAutoCommit(false);
    conn.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    update(conn, "update orders set total = 1 where id = 1");
    Savepoint point = conn.setSavepoint("a");
    failing("inside", () -> query(conn, "select 1 / 0"));
    failing("aborted", () -> query(conn, "select 1"));
    conn.rollback(point);
    query(conn, "select total from orders where id = 1");
    conn.commit();
    update(conn, "delete from orders");
    conn.rollback();
    conn.setReadOnly(true);
    failing("read only", () -> update(conn, "delete from orders"));
    conn.rollback();
    conn.setReadOnly(false);
    conn.setAutoCommit(true);
    query(conn, "select count(*) from orders");
    try (Statement statement = conn.createStatement()) {
      statement.execute("do $$ begin raise warning 'careful'; raise notice 'noted'; end $$");
      for (SQLWarning w = statement.getWarnings(); w != null; w = w.getNextWarning()) {
        show("warning", w.getSQLState() + " " + w.getMessage());
      }
    }
  }

  /** A fetch size asks for a portal's rows in pieces. */
  static void cursors(Connection conn) throws Exception {
    conn.setAutoCommit(false);
    try (PreparedStatement statement = conn.prepareStatement("select id from orders order by id")) {
      statement.setFetchSize(100);
      for (int round = 0; round < 3; round++) {
        long sum = 0;
        ResultSet rows = statement.executeQuery();
        while (rows.next()) sum += rows.getInt(1);
        show("fetched", sum);
      }
      statement.setMaxRows(7);
      ResultSet few = statement.executeQuery();
      int count = 0;
      while (few.next()) count++;
      show("at most", count);
    }
    conn.commit();
    conn.setAutoCommit(true);
    try (Statement statement = conn.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
      ResultSet rows = statement.executeQuery("select id, customer from orders where id < 4 order by id");
      rows.absolute(2);
      rows.updateString("customer", "changed");
      rows.updateRow();
    }
    query(conn, "select customer from orders where id < 4 order by id");
    query(conn, "select count(*), sum(length(x)) from (select repeat(md5(g::text), 30) x from generate_series(1, 3000) g) s");
    try (Statement statement = conn.createStatement()) {
      ResultSet rows = statement.executeQuery("select repeat('x', 3000000)");
      rows.next();
      show("value", rows.getString(1).length());
    }
  }

  static void notifications(Connection conn) throws Exception {
    update(conn, "listen work");
    update(conn, "notify work, 'zwei Worte'");
    for (PGNotification heard : conn.unwrap(PGConnection.class).getNotifications(5000)) {
      show("heard", heard.getName() + " " + heard.getParameter());
    }
    update(conn, "unlisten *");
  }

  /** The driver's large objects are function calls of the protocol. */
  static void largeObjects(Connection conn) throws Exception {
    conn.setAutoCommit(false);
    LargeObjectManager objects = conn.unwrap(PGConnection.class).getLargeObjectAPI();
    long oid = objects.createLO();
    try (LargeObject object = objects.open(oid)) {
      object.write(new byte[100_000]);
      object.seek(99_990);
      object.write("end".getBytes(StandardCharsets.UTF_8));
      object.seek(99_988);
      show("large object", HexFormat.of().formatHex(object.read(8)) + " " + object.size());
    }
    objects.delete(oid);
    conn.commit();
    conn.setAutoCommit(true);
  }

  static void cancel(Connection conn, String[] args, String mode) throws Exception {
    Statement sleeper = conn.createStatement();
    Thread canceller = new Thread(() -> {
      try (Connection other = DriverManager.getConnection(args[0], args[1], args[2]); Statement look = other.createStatement()) {
        String sql = "select 1 from pg_stat_activity where state = 'active' and query like 'select pg_sleep(60)%" + mode + "'";
        while (!look.executeQuery(sql).next()) Thread.sleep(10);
        sleeper.cancel();
      } catch (Exception caught) {
        System.out.println("canceller: " + caught);
      }
    });
    canceller.start();
    failing("cancelled", () -> sleeper.executeQuery("select pg_sleep(60) -- jdbc " + mode));
    canceller.join();
    Statement timed = conn.createStatement();
    timed.setQueryTimeout(1);
    failing("timed out", () -> timed.executeQuery("select pg_sleep(60)"));
    query(conn, "select 'alive'");
  }

  static void update(Connection conn, String sql) throws SQLException {
    try (Statement statement = conn.createStatement()) {
      show(sql.substring(0, Math.min(30, sql.length())), statement.executeUpdate(sql));
    }
  }

  static void query(Connection conn, String sql) throws SQLException {
    try (Statement statement = conn.createStatement()) {
      boolean rows = statement.execute(sql);
      while (rows || statement.getUpdateCount() != -1) {
        if (rows) print(statement.getResultSet());
        rows = statement.getMoreResults();
      }
    }
  }

  static void print(ResultSet rows) throws SQLException {
    ResultSetMetaData meta = rows.getMetaData();
    StringBuilder head = new StringBuilder();
    for (int i = 1; i <= meta.getColumnCount(); i++) {
      head.append(meta.getColumnName(i)).append(':').append(meta.getColumnTypeName(i)).append(' ');
    }
    show("columns", head);
    while (rows.next()) {
      StringBuilder row = new StringBuilder();
      for (int i = 1; i <= meta.getColumnCount(); i++) row.append(text(rows.getObject(i))).append(" | ");
      show("row", row);
    }
  }

  static String text(Object value) throws SQLException {
    if (value instanceof byte[] bytes) return HexFormat.of().formatHex(bytes);
    if (value instanceof Array array) return Arrays.deepToString((Object[]) array.getArray());
    return String.valueOf(value);
  }

  static void failing(String title, Action action) {
    try {
      action.run();
      show(title, "no error");
    } catch (PSQLException caught) {
      ServerErrorMessage said = caught.getServerErrorMessage();
      show(title, caught.getSQLState() + " " + (said == null ? caught.getMessage()
          : said.getSeverity() + " " + said.getMessage() + " " + said.getDetail() + " " + said.getPosition() + " " + said.getConstraint()));
    } catch (Exception caught) {
      show(title, caught);
    }
  }

  static void show(String title, Object value) {
    System.out.println(title + ": " + value);
  }
}
