# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Finds the model that a request names in its body, which nginx's own configuration cannot see, and sends the request to
# the named location for it. It runs in nginx's workers, so it never recurses and copies no body but one that is renamed:
# patterns capture nothing of the body, for a capture copies the whole text.
#
# Whoever answers reads the body again, and somebody else's server in its own way: it may take keys of any case, comments,
# or the first of two fields. A body of which two readers could find two models is refused, for a key may be limited to one.
package gpuchat_model;

use strict;
use warnings;

use constant {
    DONE        => 0,
    NOT_ALLOWED => 405,
    TOO_LARGE   => 413,
    FAILED      => 500,
};

# What is no model's name, but a reason why there is none.
use constant {MISSING => 'missing', TWICE => 'twice', SPELLED => 'spelled', TYPE => 'type', COMPLEX => 'complex'};

# Together below two seconds' work. Patterns go from mark to mark, which is a quote or a backslash: a body of 50 MB that is
# an image has few, and 3,000,000 are 18 MB of text in which each letter is escaped.
my $MOST_MARKS   = 3_000_000;
my $MOST_STEPS   = 1_000_000;    # brackets
my $MOST_KEYS    = 10_000;
my $MOST_PARTS   = 1000;
my $LONGEST_KEY  = 256;
my $LONGEST_HEAD = 4096;         # of a part
my $LONGEST_NAME = 4096;
my $AT_A_TIME    = 30_000;       # older perls repeat a group no more than 32766 times

my $INSIDE = qr/[^"\\]++|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4})/;
my $STRING = qr/"(?:$INSIDE){0,$AT_A_TIME}+"/;
# No slash, hash or single quote, by which some readers begin a comment or a string.
my $PLAIN  = qr/(?:[-+.,: \t\r\n0-9A-Za-z]++|$STRING){1,$AT_A_TIME}+/;
my $SCALAR = qr/(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|NaN|-?Infinity)(?![^\s,}])/;

my $JSON      = qr{\A\s*(?:application/json\s*(?:;\s*charset=(?:utf-?8|"utf-?8")\s*)?)?\z}i;
my $FORM      = qr{\A\s*multipart/form-data\s*;\s*boundary=(?|"([A-Za-z0-9'()+_,./:=?-]{1,70})"|([A-Za-z0-9'+_.-]{1,70}))\s*\z}i;
my $PARAMETER = qr{[ \t]*;[ \t]*(name|filename|filename\*)=(?|"([^"\\]*)"|([A-Za-z0-9!#\$%&'*+^_`|~.-]+))}i;

# nginx's handler of a path that takes a model.
sub route {
    my ($r) = @_;
    return NOT_ALLOWED if $r->request_method ne 'POST';
    my $coding = $r->header_in('Content-Encoding');
    return send_to($r, '@model_compressed') if defined $coding && $coding !~ /^(?:identity)?$/i;
    return send_to($r, '@model_addressed') if is_in_arguments($r->args);
    return DONE if $r->has_request_body(\&choose);
    return send_to($r, '@model_missing');
}

# What route goes on with when the body is there.
sub choose {
    my ($r) = @_;
    my $text = $r->request_body;
    if (my $file = $r->request_body_file) {
        open my $handle, '<:raw', $file or return FAILED;
        local $/;
        $text = <$handle>;
        close $handle;
    }
    return send_to($r, '@model_missing') if !defined $text;
    my ($fault, $name, $start, $end) = find(\$text, $r->header_in('Content-Type'), $r->uri);
    return TOO_LARGE if $fault eq COMPLEX;
    return send_to($r, "\@model_$fault") if $fault;

    $r->variable('gpuchat_model', $name);
    my $route = $r->variable('gpuchat_route');
    return send_to($r, '@model_unknown') if !$route;
    my $renamed = $r->variable('gpuchat_renamed');
    if ($renamed) {
        substr $text, $start, $end - $start, $renamed;
        $r->variable('gpuchat_body', $text);
    }
    return send_to($r, $route);
}

sub send_to {
    my ($r, $location) = @_;
    $r->internal_redirect($location);
    return DONE;
}

# Returns why a body names no model, or '', the name, and where it stands between its quotes. The body is a reference. Only
# what is said comes in forms.
sub find {
    my ($text, $type, $path) = @_;
    $type = '' if !defined $type;
    return find_in_form($text, $type) if $path =~ m{\A/v1/audio/};
    return TYPE if $type !~ $JSON;
    return COMPLEX if ($$text =~ tr/"\\//) > $MOST_MARKS;
    return find_in_json($text);
}

# Whether some reader could take a name for "model": by letters of another case, or because it leaves out what it cannot
# show, ends at a zero byte, or takes what follows for a place within.
sub is_odd {
    my ($name) = @_;
    return 0 if $name eq 'model';
    return 1 if $name =~ /\A\s*model\0/i;
    $name =~ s/[^!-~]//g;
    return $name =~ /\Amodel(?:[.\[]|\z)/i;
}

# Whether the address names a model too: some readers take that one, though the body names another.
sub is_in_arguments {
    my ($arguments) = @_;
    for my $given (split /[&;]/, defined $arguments ? $arguments : '') {
        my ($name) = $given =~ /\A([^=]*)/;
        return 1 if length $name > $LONGEST_KEY;
        $name =~ tr/+/ /;
        1 while $name =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
        return 1 if $name eq 'model' || is_odd($name);
    }
    return 0;
}

sub find_in_json {
    my ($text) = @_;
    my ($count, $name, $start, $end) = (0);
    pos($$text) = 0;
    $$text =~ /\G[ \t\r\n]*+\{[ \t\r\n]*+/gc or return MISSING;
    if ($$text !~ /\G\}/gc) {
        my ($keys, $steps) = (0, 0);
        while (1) {
            return COMPLEX if ++$keys > $MOST_KEYS;
            my ($from, $to) = skip_string($text) or return MISSING;
            # Each letter of a key may be written as six. Of a longer one nobody says what another reader makes.
            return COMPLEX if $to - $from > $LONGEST_KEY;
            my $key = decoded(substr $$text, $from, $to - $from);
            return SPELLED if is_odd($key);
            my $is_model = $key eq 'model';
            $$text =~ /\G[ \t\r\n]*+:[ \t\r\n]*+/gc or return MISSING;
            $count += $is_model;
            if ($$text =~ /\G(?=")/gc) {
                ($from, $to) = skip_string($text) or return MISSING;
                ($name, $start, $end) = (decoded(substr $$text, $from, $to - $from), $from, $to)
                    if $is_model && $to - $from <= $LONGEST_NAME;
            }
            elsif ($$text =~ /\G(?=[\[{])/gc) {
                my $fault = skip_nested($text, \$steps);
                return $fault if $fault;
            }
            else {
                $$text =~ /\G$SCALAR/gc or return MISSING;
            }
            next if $$text =~ /\G[ \t\r\n]*+,[ \t\r\n]*+/gc;
            last if $$text =~ /\G[ \t\r\n]*+\}/gc;
            return MISSING;
        }
    }
    $$text =~ /\G[ \t\r\n]*+\z/gc or return MISSING;
    return TWICE if $count > 1;
    return defined $name && $name ne '' ? ('', $name, $start, $end) : MISSING;
}

# Goes to behind the string that begins here, and returns where its content stands.
sub skip_string {
    my ($text) = @_;
    $$text =~ /\G"/gc or return;
    my $from = pos $$text;
    1 while $$text =~ /\G(?:$INSIDE){1,$AT_A_TIME}+/gc;
    my $to = pos $$text;
    return $$text =~ /\G"/gc ? ($from, $to) : ();
}

# Goes to behind the list or object that begins here; returns what is wrong with it.
sub skip_nested {
    my ($text, $steps) = @_;
    my $depth = 0;
    while (1) {
        return COMPLEX if ++$$steps > $MOST_STEPS;
        my $here = pos $$text;
        if ($$text =~ /\G[\[{]++/gc) {
            $depth += pos($$text) - $here;
        }
        elsif ($$text =~ /\G[\]}]/gc) {
            return '' if --$depth == 0;
        }
        elsif ($$text =~ /\G$PLAIN/gc) {
            next;
        }
        else {
            # A string of very many escapes, or the end.
            skip_string($text) or return MISSING;
        }
    }
}

my %ESCAPED = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");

# Decodes the inside of a JSON string into bytes of UTF-8.
sub decoded {
    my ($raw) = @_;
    return $raw if index($raw, '\\') < 0;
    $raw =~ s{\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))}{
        defined $1 ? utf8_of(0x10000 + ((hex($1) - 0xD800) << 10) + hex($2) - 0xDC00)
            : defined $3 ? utf8_of(hex $3)
            : exists $ESCAPED{$4} ? $ESCAPED{$4} : $4
    }gesx;
    return $raw;
}

sub utf8_of {
    my ($code) = @_;
    # Half of a pair is no character, and in no name.
    $code = 0xFFFD if $code >= 0xD800 && $code <= 0xDFFF;
    my $character = chr $code;
    utf8::encode($character);
    return $character;
}

# A form's field "model", for audio comes in forms. Boundaries stand nowhere but between parts, and each part has one name.
sub find_in_form {
    my ($text, $type) = @_;
    return TYPE if $type !~ $FORM;
    my $edge = "--$1";
    my ($count, $parts, $here, $name, $start, $end) = (0, 0, length $edge);
    return MISSING if substr($$text, 0, $here) ne $edge;
    while (substr($$text, $here, 2) ne '--') {
        return COMPLEX if ++$parts > $MOST_PARTS;
        return MISSING if substr($$text, $here, 2) ne "\r\n";
        my $next = index $$text, $edge, $here;
        my $content = 4 + index $$text, "\r\n\r\n", $here;
        return MISSING if $next < 0 || $content < 4 || $content > $next - 2 || substr($$text, $next - 2, 2) ne "\r\n";
        return MISSING if $content - $here > $LONGEST_HEAD;
        my ($field, $is_file) = field_of(substr $$text, $here + 2, $content - $here - 6);
        return MISSING if !defined $field;
        return SPELLED if is_odd($field);
        if ($field eq 'model') {
            ++$count;
            my $length = $next - 2 - $content;
            ($name, $start, $end) = (substr($$text, $content, $length), $content, $next - 2)
                if $length > 0 && $length <= $LONGEST_NAME && !$is_file;
        }
        $here = $next + length $edge;
    }
    return MISSING if $here + 2 < length $$text && substr($$text, $here + 2, 3) ne "\r\n";
    return TWICE if $count > 1;
    return defined $name ? ('', $name, $start, $end) : MISSING;
}

# The name of a part by its headers, and whether it is a file; nothing where readers could differ.
sub field_of {
    my ($headers) = @_;
    my @dispositions;
    for my $line (split /\r\n/, $headers, -1) {
        $line =~ /\A([A-Za-z0-9-]+):([^\r\n\0]*)\z/ or return;
        my ($header, $value) = (lc $1, $2);
        push @dispositions, $value if $header eq 'content-disposition';
        return if $header eq 'content-transfer-encoding' && $value !~ /\A\s*(?:7bit|8bit|binary)\s*\z/i;
    }
    return if @dispositions != 1 || $dispositions[0] !~ /\G[ \t]*form-data/gci;
    my %given;
    while ($dispositions[0] =~ /\G$PARAMETER/gc) {
        return if exists $given{lc $1};
        $given{lc $1} = $2;
    }
    return if $dispositions[0] !~ /\G[ \t]*\z/gc;
    return ($given{name}, exists $given{filename} || exists $given{'filename*'});
}

1;
