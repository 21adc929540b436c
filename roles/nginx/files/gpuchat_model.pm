# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Finds the model that a request names in its body, which nginx's own configuration cannot see, and sends the request to
# the named location for it. It runs in nginx's workers, so it never recurses and copies no body but one that is renamed:
# patterns capture nothing, for a capture copies the whole text.
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
use constant {MISSING => 'missing', TWICE => 'twice', COMPLEX => 'complex'};

my $MOST_STEPS   = 1_000_000;    # brackets and parts: below a second's work
my $MOST_KEYS    = 10_000;
my $LONGEST_NAME = 4096;
my $AT_A_TIME    = 30_000;       # older perls repeat a group no more than 32766 times

my $STRING = qr/"(?:[^"\\]++|\\.){0,$AT_A_TIME}+"/s;
my $PLAIN  = qr/(?:[^"\[\]{}]++|$STRING){1,$AT_A_TIME}+/s;

# nginx's handler of a path that takes a model.
sub route {
    my ($r) = @_;
    return NOT_ALLOWED if $r->request_method ne 'POST';
    my $coding = $r->header_in('Content-Encoding');
    return send_to($r, '@model_compressed') if defined $coding && $coding !~ /^(?:identity)?$/i;
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
    my ($fault, $name, $start, $end) = find(\$text, $r->header_in('Content-Type'));
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

# Returns why a body names no model, or '', the name, and where it stands between its quotes. The body is a reference.
sub find {
    my ($text, $type) = @_;
    $type = '' if !defined $type;
    return find_in_form($text, $type) if $type =~ m{^\s*multipart/form-data\s*(?:;|$)}i;
    return find_in_json($text);
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
            # Each letter of a key may be written as six.
            my $is_model = $to - $from <= 30 && decoded(substr $$text, $from, $to - $from) eq 'model';
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
                $$text =~ /\G[^\[\]{}",:\s]++/gc or return MISSING;
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
    1 while $$text =~ /\G(?:[^"\\]++|\\.){1,$AT_A_TIME}+/gcs;
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

# A form's field "model", for audio comes in forms.
sub find_in_form {
    my ($text, $type) = @_;
    my @boundaries = $type =~ /;\s*boundary=(?:"([^"\\]{1,200})"|([^\s;"]{1,200}))\s*(?=;|$)/gi;
    my ($boundary, @others) = grep { defined } @boundaries;
    return MISSING if !defined $boundary || @others;

    my ($count, $steps, $name, $start, $end) = (0, 0);
    my $here = index $$text, "--$boundary";
    return MISSING if $here < 0 || ($here > 0 && substr($$text, $here - 1, 1) ne "\n");
    while (1) {
        return COMPLEX if ++$steps > $MOST_STEPS;
        $here += 2 + length $boundary;
        last if substr($$text, $here, 2) eq '--';
        return MISSING if substr($$text, $here, 2) ne "\r\n";
        my $content = index $$text, "\r\n\r\n", $here;
        return MISSING if $content < 0;
        my $next = index $$text, "\r\n--$boundary", $content + 2;
        return MISSING if $next < 0;
        my $headers = substr $$text, $here, $content - $here;
        $content += 4;
        if ($headers =~ /\r\nContent-Disposition:[ \t]*form-data[ \t]*;([^\r\n]*)/i) {
            my $parameters = $1;
            if ($parameters =~ /(?:^|;)[ \t]*name[ \t]*=[ \t]*(?:"model"|model)[ \t]*(?=;|$)/i) {
                ++$count;
                my $length = $next - $content;
                ($name, $start, $end) = (substr($$text, $content, $length), $content, $next)
                    if $length > 0 && $length <= $LONGEST_NAME && $parameters !~ /;[ \t]*filename/i;
            }
        }
        $here = $next + 2;
    }
    return TWICE if $count > 1;
    return defined $name ? ('', $name, $start, $end) : MISSING;
}

1;
